//! Sources on real file systems that tell less of what was done to a file: times of whole seconds,
//! inode numbers that do not last, no change time. What is unchanged is not copied for ever, and
//! nothing is taken for unchanged that is not.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread::sleep,
    time::{Duration, SystemTime},
};

use serde_json::json;

use crate::{
    fuse::{self, Lacks},
    lab::{Mounted, World, make_ext4, run_tool},
    nas::{passed_over, sftp_server, skipped_without},
};

/// The coarsest step of a file system's times, and a little.
const STEP: Duration = Duration::from_millis(2100);
const FILES: usize = 8;

/// What holds a source, mounted until it is dropped.
enum Held {
    System(#[expect(dead_code, reason = "mounted while it is there")] Vec<Mounted>),
    Own(#[expect(dead_code, reason = "mounted while it is there")] fuse::Mounted),
}

/// How a source is mounted, each time anew.
type Mount = fn(&World) -> Held;

/// A source of some file system, and what can be told of a file there.
struct Source {
    world: World,
    mount: Mount,
    held: Option<Held>,
    /// Whether a change of content or name is told although size and time stay.
    tells: bool,
}

impl Source {
    fn new(engine: bool, mount: Mount, tells: bool) -> Self {
        let world = World::new(&json!({ "useRsync": engine, "keepLast": 3 }));
        let mut this = Self {
            world,
            mount,
            held: None,
            tells,
        };
        this.mount_again();
        for number in 0..FILES {
            this.write(number, &format!("content {number}"));
        }
        sleep(STEP);
        this
    }

    fn mount_again(&mut self) {
        self.held = None;
        self.held = Some((self.mount)(&self.world));
    }

    fn file(&self, number: usize) -> PathBuf {
        self.world.source().join(format!("file{number}"))
    }

    fn write(&self, number: usize, text: &str) {
        fs::write(self.file(number), text).unwrap();
    }

    /// Makes a snapshot now and gives how many files were copied; it must be as the source is.
    #[track_caller]
    fn copied(&self, what: &str) -> u64 {
        let copied = copied(&self.world, what);
        for number in 0..FILES {
            let source = self.file(number);
            let stored = self.world.in_snapshot("latest");
            let stored = stored.join(source.file_name().unwrap());
            let [source, stored] = [source, stored].map(|path| fs::read_to_string(path).unwrap());
            assert_eq!(stored, source, "{what}");
        }
        copied
    }

    /// All that can be done to files here.
    fn lives(mut self) {
        assert_eq!(self.copied("the first"), FILES as u64);
        assert_eq!(self.copied("nothing was done"), 0);
        self.mount_again();
        assert_eq!(self.copied("it was mounted again"), 0);
        sleep(STEP);
        assert_eq!(self.copied("nothing was done since"), 0);

        self.write(3, "CONTENT 3");
        assert_eq!(self.copied("one was written"), 1);
        if self.tells {
            let time = fs::metadata(self.file(4)).unwrap().modified().unwrap();
            self.write(4, "CONTENT 4");
            let file = fs::File::options().write(true).open(self.file(4)).unwrap();
            file.set_modified(time).unwrap();
            drop(file);
            assert_eq!(self.copied("its time was put back"), 1);
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
            for number in [5, 6] {
                let file = fs::File::options().write(true).open(self.file(number));
                file.unwrap().set_modified(time).unwrap();
            }
            self.copied("two of one time");
            sleep(STEP);
            self.mount_again();
            self.copied("mounted again");
            let aside = self.world.source().join("aside");
            fs::rename(self.file(5), &aside).unwrap();
            fs::rename(self.file(6), self.file(5)).unwrap();
            fs::rename(&aside, self.file(6)).unwrap();
            self.mount_again();
            self.copied("two have each other's names");
        }
        // In the second of a run, before it and after.
        for round in 0..2 {
            self.write(7, &format!("before {round}"));
            self.copied("written just before");
            self.write(7, &format!("after  {round}"));
            sleep(STEP);
            assert!(self.copied("written just after") <= 1);
        }
        sleep(STEP);
        self.copied("the doubt ends");
        assert_eq!(self.copied("at last"), 0);
    }
}

/// Makes a snapshot at this very moment and gives how many files were copied.
#[track_caller]
fn copied(world: &World, what: &str) -> u64 {
    let done = world.run(&["apply", "--json"]);
    let report = done.json();
    assert_eq!(done.code, 0, "{what}: {report:#}");
    report["snapshot"]["totals"]["files_copied"]
        .as_u64()
        .unwrap()
}

fn both_engines(mount: Mount, tells: bool) {
    let engine = |engine| move || Source::new(engine, mount, tells).lives();
    let other = std::thread::Builder::new().spawn(engine(true)).unwrap();
    engine(false)();
    other.join().unwrap();
}

/// An image of a file system, made once.
fn image(world: &World, make: impl FnOnce(&Path)) -> PathBuf {
    let image = world.path("source.image");
    if !image.exists() {
        make(&image);
    }
    image
}

#[test]
fn a_file_system_of_whole_seconds() {
    let name = "a_file_system_of_whole_seconds";
    if skipped_without(name, &["mkfs.ext4", "blkid", "losetup", "rsync"]) {
        return;
    }
    both_engines(
        |world| {
            let image = image(world, |image| {
                make_ext4(image, 16, &["-I", "128"]);
            });
            let at = world.source();
            let mounted = Mounted::image(&image, "noatime", &at);
            let _ = fs::remove_dir(at.join("lost+found"));
            Held::System(vec![mounted])
        },
        true,
    );
}

#[test]
fn an_overlay_without_lasting_inodes() {
    let name = "an_overlay_without_lasting_inodes";
    if skipped_without(name, &["mkfs.ext4", "blkid", "losetup", "rsync"]) {
        return;
    }
    if !fs::read_to_string("/proc/filesystems").is_ok_and(|all| all.contains("overlay")) {
        passed_over(name, "the kernel has no overlay");
        return;
    }
    both_engines(
        |world| {
            // Upper and lower layers of different file systems: numbers are made up.
            let (lower, upper) = (world.path("lower"), world.path("upper"));
            if !lower.exists() {
                fs::create_dir(&lower).unwrap();
                for number in 0..FILES {
                    let text = format!("lower {number}");
                    fs::write(lower.join(format!("file{number}")), text).unwrap();
                }
            }
            let image = image(world, |image| {
                make_ext4(image, 16, &[]);
            });
            let below = Mounted::image(&image, "noatime", &upper);
            for folder in ["data", "work"] {
                fs::create_dir_all(upper.join(folder)).unwrap();
            }
            let options = format!(
                "lowerdir={},upperdir={},workdir={},xino=off",
                lower.display(),
                upper.join("data").display(),
                upper.join("work").display()
            );
            let mounted = ["-t", "overlay", "-o", &options, "overlay"];
            // The first ends first.
            let all = vec![Mounted::new(&mounted, &world.source()), below];
            Held::System(all)
        },
        true,
    );
}

#[test]
fn a_bind_mount_through_fuse() {
    let name = "a_bind_mount_through_fuse";
    if skipped_without(name, &["bindfs", "rsync"]) {
        return;
    }
    both_engines(
        |world| {
            let below = world.path("below");
            fs::create_dir_all(&below).unwrap();
            let below = below.to_str().unwrap().to_owned();
            let arguments = ["-t", "fuse.bindfs", &below];
            Held::System(vec![Mounted::new(&arguments, &world.source())])
        },
        true,
    );
}

#[test]
fn a_server_over_ssh() {
    let name = "a_server_over_ssh";
    if skipped_without(name, &["mount.fuse.sshfs", "rsync"]) {
        return;
    }
    if sftp_server().is_none() {
        passed_over(name, "sftp-server is not installed");
        return;
    }
    both_engines(
        |world| {
            let (ssh, below) = (world.path("ssh"), world.path("below"));
            let server = sftp_server().unwrap();
            fs::write(&ssh, format!("#!/bin/sh\nexec {}\n", server.display())).unwrap();
            fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
            fs::create_dir_all(&below).unwrap();
            let options = format!("ssh_command={}", ssh.display());
            let from = format!("server:{}", below.display());
            let arguments = ["-t", "fuse.sshfs", "-o", &options, &from];
            Held::System(vec![Mounted::new(&arguments, &world.source())])
        },
        // It tells no change time.
        false,
    );
}

#[test]
fn a_card_of_a_camera() {
    let name = "a_card_of_a_camera";
    if skipped_without(
        name,
        &["mkfs.exfat", "mount.exfat-fuse", "losetup", "rsync"],
    ) {
        return;
    }
    both_engines(
        |world| {
            let image = image(world, |image| {
                fs::File::create(image).unwrap().set_len(16 << 20).unwrap();
                run_tool("mkfs.exfat", [image]);
            });
            let image = image.to_str().unwrap();
            let arguments = ["-t", "exfat-fuse", "-o", "loop", image];
            Held::System(vec![Mounted::new(&arguments, &world.source())])
        },
        // It keeps no change time.
        false,
    );
}

#[test]
fn times_of_two_seconds_and_other_numbers_at_each_mount() {
    let name = "times_of_two_seconds_and_other_numbers_at_each_mount";
    if skipped_without(name, &["rsync"]) {
        return;
    }
    both_engines(
        |world| {
            let below = world.path("below");
            fs::create_dir_all(&below).unwrap();
            let lacks = Lacks {
                time_step: 2_000_000_000,
                lasting_inodes: true,
                ..Lacks::default()
            };
            Held::Own(fuse::Mounted::new(&below, &world.source(), lacks))
        },
        false,
    );
}

/// A program that keeps a file mapped and stores into it when it is told to.
struct Mapper {
    child: Child,
    tell: ChildStdin,
    told: BufReader<ChildStdout>,
}

impl Mapper {
    fn new(file: &Path) -> Self {
        let program = "import mmap,sys\n\
                       f=open(sys.argv[1],'r+b'); m=mmap.mmap(f.fileno(),0)\n\
                       for line in sys.stdin:\n \
                       m[0:4]=line.strip().encode(); print('stored',flush=True)\n";
        let mut child = Command::new("python3")
            .args(["-c", program])
            .arg(file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            tell: child.stdin.take().unwrap(),
            told: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn store(&mut self, four: &str) {
        writeln!(self.tell, "{four}").unwrap();
        let mut answer = String::new();
        self.told.read_line(&mut answer).unwrap();
        assert_eq!(answer, "stored\n");
    }

    fn ends(self) {
        let Self {
            mut child,
            tell,
            told,
        } = self;
        drop((tell, told));
        child.wait().unwrap();
    }
}

#[test]
fn what_is_stored_through_a_mapping_is_seen_and_not_copied_for_ever() {
    let name = "what_is_stored_through_a_mapping_is_seen_and_not_copied_for_ever";
    if skipped_without(name, &["mkfs.ext4", "blkid", "losetup", "rsync", "python3"]) {
        return;
    }
    for engine in [false, true] {
        let world = World::new(&json!({ "useRsync": engine, "keepLast": 3 }));
        make_ext4(&world.path("source.image"), 16, &[]);
        let image = world.path("source.image");
        let _mounted = Mounted::image(&image, "noatime", &world.source());
        let _ = fs::remove_dir(world.source().join("lost+found"));
        let file = world.source().join("database");
        fs::write(&file, [b'A'; 8192]).unwrap();
        let mut mapper = Mapper::new(&file);
        let stored = |what: &str| {
            let copied = copied(&world, what);
            let latest = world.in_snapshot("latest").join("database");
            let text = fs::read(latest).unwrap()[..4].to_vec();
            (String::from_utf8(text).unwrap(), copied)
        };
        // The page is dirty from the first on; a store leaves the file's times as they are.
        for text in ["one1", "two2", "tre3", "for4"] {
            mapper.store(text);
            assert_eq!(stored(text).0, text, "rsync: {engine}");
        }
        sleep(Duration::from_millis(100));
        stored("quiet");
        assert_eq!(stored("quiet for long"), ("for4".to_owned(), 0));
        mapper.store("five");
        mapper.ends();
        assert_eq!(stored("closed").0, "five", "rsync: {engine}");
        sleep(Duration::from_millis(100));
        stored("closed for a while");
        assert_eq!(stored("closed for long"), ("five".to_owned(), 0));
    }
}
