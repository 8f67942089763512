//! A life that ends many times: one deed on a drive whose power goes at many moments of it.

use std::{fs, path::Path};

use test_support::{Mounted, Random, is_installed, run_tool, why_nothing_can_be_mounted};

use crate::{
    deed::Deed,
    drive::{Content, Drive},
    life::{Life, Setting},
    news::News,
    tracer::Fate,
    trouble::{Outcome, Trouble},
    world::{Traits, World},
};

/// A file system, the size of a drive for it in MiB, and what makes it.
pub(crate) struct Format {
    pub(crate) name: &'static str,
    mebibytes: u64,
    make: &'static [&'static str],
}

pub(crate) const FORMATS: [Format; 3] = [
    Format {
        name: "ext4",
        mebibytes: 32,
        make: &[
            "mkfs.ext4",
            "-q",
            "-F",
            "-E",
            "nodiscard,lazy_itable_init=0,lazy_journal_init=0",
        ],
    },
    Format {
        name: "xfs",
        mebibytes: 300,
        make: &["mkfs.xfs", "-q", "-K", "-f"],
    },
    Format {
        name: "btrfs",
        mebibytes: 120,
        make: &["mkfs.btrfs", "-q", "-K", "-f"],
    },
];

/// What is done while the power goes.
const DEEDS: [Deed; 7] = [
    Deed::Backup,
    Deed::Repair,
    Deed::First,
    Deed::Restore,
    Deed::Backup,
    Deed::Adopt,
    Deed::Delete,
];

/// Why no power can be cut here.
pub(crate) fn is_missing() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("this is not root".to_owned());
    }
    if !Path::new("/dev/fuse").exists() {
        return Some("there is no /dev/fuse".to_owned());
    }
    if formats().next().is_none() {
        return Some("no mkfs of ext4, xfs or btrfs is installed".to_owned());
    }
    why_nothing_can_be_mounted()
}

fn formats() -> impl Iterator<Item = &'static Format> {
    FORMATS.iter().filter(|format| format.lacks().is_none())
}

/// On which file systems no power can be cut, and why.
pub(crate) fn lacks() -> impl Iterator<Item = String> {
    let each = FORMATS.iter().filter_map(Format::lacks);
    each.map(|why| format!("cuts of power: {why}"))
}

impl Format {
    /// Makes an image.
    pub(crate) fn make(&self, image: &Path) {
        let file = fs::File::create(image).unwrap();
        file.set_len(self.mebibytes << 20).unwrap();
        let arguments = self.make[1..].iter().map(AsRef::as_ref);
        run_tool(self.make[0], arguments.chain([image.as_os_str()]));
    }

    /// Why there can be no drive with it here.
    pub(crate) fn lacks(&self) -> Option<String> {
        let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
        let maker = self.make[0];
        if !is_installed(maker) {
            return Some(format!("{maker} is not installed"));
        }
        let is_known = known.lines().any(|line| line.trim().ends_with(self.name));
        (!is_known).then(|| format!("this kernel knows no {} yet", self.name))
    }
}

/// The folders of a world that are on the drive, mounted until this is dropped.
struct OnDrive {
    _bound: [Mounted; 3],
}

impl OnDrive {
    fn bind(world: &World, disk: &Path) -> Self {
        Self {
            _bound: ["dst", "state", "back"].map(|name| {
                let there = disk.join(name);
                fs::create_dir_all(&there).unwrap();
                Mounted::bind(&there, &world.path(name))
            }),
        }
    }
}

/// Does one deed and cuts the power at so many moments of it; pulls the drive now and then.
///
/// # Errors
///
/// If anything is lost that was flushed, or the program says or does what it must not.
pub(crate) fn live(setting: &Setting, seed: u64, cuts: usize) -> Outcome {
    let mut random = Random::new(seed ^ 0x9000);
    let all: Vec<_> = formats().collect();
    // In turn, so that a few seeds have all of them.
    let turn = usize::try_from(seed / 8).unwrap_or_default();
    let format = all[turn % all.len()];
    let deed = DEEDS[turn % DEEDS.len()];
    let traits = Traits {
        rsync: random.below(4) == 0 && setting.has_rsync,
        remote: false,
        threads: random.below(2) == 0,
        small: false,
    };
    let world = World::new(&setting.program, &setting.folder, traits, &mut random);
    let mut life = Life::new(setting, world, random);
    let image = life.world.path("image");
    format.make(&image);
    let disk = life.world.path("disk");
    let mut drive = Drive::new(&image, &life.world.path("served"), &disk);
    let on_drive = OnDrive::bind(&life.world, &disk);

    let words = life.get_ready(deed)?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    drive.begin_log();
    let ran = life.world.run(&words);
    let length = drive.log_length();
    let promised = ran.code == 0;
    if !promised && deed != Deed::Delete {
        return Err(Trouble::Wrong(format!("undisturbed: {}", ran.all())));
    }
    drop(on_drive);
    drive.unmount();
    let before = life.ledger.clone();
    for number in (0..cuts).take_while(|_| !setting.is_late()) {
        // The last ones when it had ended and said so.
        let is_over = number + 2 >= cuts;
        let cut = if is_over {
            length
        } else {
            life.random.index_below(length + 1)
        };
        let content = drive.after_cut(cut, false, &mut life.random);
        life.ledger = before.clone();
        let name = format.name;
        let what = format!(
            "power of {name} cut in `{}` after {cut} of {length}",
            words[0]
        );
        let seen = Seen {
            what: &what,
            promised: promised && is_over,
            goes_on: number % 10 == 0 || number + 1 == cuts,
        };
        life.comes_back(&content, drive.size(), deed, &words, &seen)?;
        life.tell(News::Did(match name {
            "ext4" => "cuts of the power of an ext4",
            "xfs" => "cuts of the power of an XFS",
            _ => "cuts of the power of a btrfs",
        }));
    }
    let fresh = drive.after_cut(0, true, &mut life.random);
    drop(drive);
    for _ in (0..cuts / 8).take_while(|_| !setting.is_late()) {
        life.ledger = before.clone();
        fresh.write_to(&image, format.mebibytes << 20);
        life.pull(&image, deed, &words)?;
    }
    Ok(())
}

/// What is looked at after a cut.
struct Seen<'a> {
    what: &'a str,
    /// Whether the program had said that it was done.
    promised: bool,
    /// Whether the next run is tried as well.
    goes_on: bool,
}

impl Life<'_> {
    /// Does the deed on a drive that is pulled meanwhile, and plugged in again.
    fn pull(&mut self, image: &Path, deed: Deed, words: &[&str]) -> Outcome {
        let mut drive = Drive::new(image, &self.world.path("served"), &self.world.path("disk"));
        let on_drive = OnDrive::bind(&self.world, &self.world.path("disk"));
        let nth = 1 + self.random.index_below(120);
        let fate = Fate::Meets { nth };
        let done = self.world.strike_with(words, fate, &mut || drive.pull());
        drop(on_drive);
        drive.unmount();
        let Some(call) = &done.struck else {
            return Ok(());
        };
        let what = format!("the drive pulled in `{}` at {call}", words[0]);
        let said = done.ran.all();
        if done.hung || said.contains("panicked") {
            return Err(Trouble::Wrong(format!("{what}: {said}")));
        }
        let content = drive.after_cut(drive.log_length(), false, &mut self.random);
        let size = drive.size();
        drop(drive);
        let seen = Seen {
            what: &what,
            promised: done.ran.code == 0,
            goes_on: true,
        };
        self.comes_back(&content, size, deed, words, &seen)?;
        self.tell(News::Did("drives pulled"));
        Ok(())
    }

    /// Mounts what a cut has left, compares it, and goes on from there.
    fn comes_back(
        &mut self,
        content: &Content,
        size: u64,
        deed: Deed,
        words: &[&str],
        seen: &Seen<'_>,
    ) -> Outcome {
        let image = self.world.path("cut");
        content.write_to(&image, size);
        let disk = Mounted::image(&image, "noatime", &self.world.path("disk"));
        let _on_drive = OnDrive::bind(&self.world, disk.path());
        if seen.promised && deed == Deed::Repair {
            self.ledger.damage = None;
        }
        self.look(&seen.what)?;
        if seen.promised {
            self.keeps_promise(deed, seen.what)?;
        }
        if !seen.goes_on {
            return Ok(());
        }
        self.goes_on(deed, words, seen.what)
    }
}
