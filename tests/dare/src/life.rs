//! A life: backups, restores, repairs and adoptions that are killed and fail, with a look at everything that is
//! published after each.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::mpsc::Sender,
    time::Instant,
};

use nix::errno::Errno;
use test_support::{Ran, Random};

use crate::{
    edits,
    ledger::{Ledger, Tree, published},
    news::{Kind, News},
    script::{Step, What},
    tracer::{CAN_FAIL, Fate, Traced},
    trouble::{Outcome, Trouble},
    world::{Traits, World},
};

/// What calls fail with.
pub(crate) const ERRORS: [Errno; 10] = [
    Errno::EIO,
    Errno::ENOSPC,
    Errno::EDQUOT,
    Errno::EROFS,
    Errno::ENOMEM,
    Errno::EACCES,
    Errno::ENFILE,
    Errno::EMLINK,
    Errno::EAGAIN,
    Errno::EPERM,
];

/// Where lives are lived, and who hears of them.
#[derive(Clone)]
pub(crate) struct Setting {
    pub(crate) program: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) news: Sender<News>,
    pub(crate) has_rsync: bool,
    pub(crate) has_rclone: bool,
    pub(crate) can_mount: bool,
    /// How often the power is cut in a life that is for that; never where it cannot be.
    pub(crate) cuts: usize,
    /// When lives end although they are not over.
    pub(crate) until: Option<Instant>,
    /// Whether a stored byte is changed behind the back of whoever compares, which must be found.
    pub(crate) plant: bool,
}

impl Setting {
    /// Whether the time is over.
    pub(crate) fn is_late(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() > until)
    }

    /// Tells whoever listens.
    pub(crate) fn tell(&self, news: News) {
        // They may have gone.
        let _ = self.news.send(news);
    }
}

/// Before which step a byte is changed that must be found.
const PLANTED: usize = 4;

/// A life that is being lived.
pub(crate) struct Life<'a> {
    pub(crate) setting: &'a Setting,
    pub(crate) world: World,
    pub(crate) ledger: Ledger,
    pub(crate) random: Random,
    /// Changing calls of the last run of a verb that was left alone, and its calls by name.
    counts: BTreeMap<&'static str, ([usize; 2], BTreeMap<&'static str, usize>)>,
    /// Another machine at the same drive.
    pub(crate) neighbour: Option<Box<Self>>,
    /// What is on the drive that is not in.
    pub(crate) ledger_away: Ledger,
}

/// Lives these steps.
///
/// # Errors
///
/// If anything is lost, or the program says or does what it must not.
pub(crate) fn live(setting: &Setting, seed: u64, steps: &[Step]) -> Outcome {
    let mut random = Random::new(seed ^ 0x5eed);
    let traits = Traits {
        // Chance is asked first, so that a life has the same numbers whatever is installed.
        rsync: random.below(3) == 0 && setting.has_rsync,
        remote: random.below(8) == 0 && setting.has_rclone,
        // So that a plant is found in the same place each time.
        threads: random.below(4) == 0 && !setting.plant,
        small: seed % 4 == 2 && setting.can_mount,
    };
    let world = World::new(&setting.program, &setting.folder, traits, &mut random);
    let mut life = Life::new(setting, world, random);
    for step in steps.iter().take_while(|_| !setting.is_late()) {
        life.random = step.random.clone();
        if setting.plant && step.number == PLANTED {
            life.plant();
        }
        life.step(step.what)?;
    }
    Ok(())
}

impl<'a> Life<'a> {
    /// One in which nothing has happened.
    pub(crate) fn new(setting: &'a Setting, world: World, random: Random) -> Self {
        Self {
            setting,
            world,
            ledger: Ledger::default(),
            random,
            counts: BTreeMap::new(),
            neighbour: None,
            ledger_away: Ledger::default(),
        }
    }
}

impl Life<'_> {
    pub(crate) fn tell(&self, news: News) {
        self.setting.tell(news);
    }

    fn step(&mut self, what: What) -> Outcome {
        let has_any = !self.ledger.there(&self.world)?.is_empty();
        match what {
            What::Day => {
                self.day();
                Ok(())
            }
            What::Backup => self.backup(),
            _ if !has_any => Ok(()),
            What::Restore => self.restore(),
            What::Repair => self.repair(),
            What::Adopt => self.adopt(),
            What::Prune => self.prune(),
            What::Delete => self.delete(),
            What::Pin => self.pin(),
            What::Mistake => self.mistake(),
            What::Conversion => self.conversion(),
            What::Clock => self.clock(),
            What::Neighbour => self.neighbour(),
            What::OtherDrive => self.other_drive(),
            What::Full => self.full(),
            What::Outage => self.outage(),
            What::Journey => self.journey(),
            What::ClockBehind => self.clock_behind(),
        }
    }

    pub(crate) fn day(&mut self) {
        let gap = [1, 1, 1, 1, 1, 2, 6, 31][self.random.index_below(8)];
        self.world.pass_days(gap);
        for _ in 0..=self.random.below(4) {
            edits::change(&self.world.source(), &mut self.random);
        }
    }

    /// Compares all that is published.
    pub(crate) fn look(&mut self, after: &dyn std::fmt::Display) -> Outcome {
        let folder = self.world.text("");
        let folder = folder.trim_start_matches('/').to_owned();
        let said = |what: String| format!("{what} (after {after})").replace(&folder, "");
        let compared = self
            .ledger
            .look(&self.world)
            .map_err(|trouble| match trouble {
                Trouble::Lost(what) => Trouble::Lost(said(what)),
                Trouble::Wrong(what) => Trouble::Wrong(said(what)),
            })?;
        self.tell(News::Compared {
            snapshots: compared.snapshots,
            files: compared.files,
            by_rsync: compared.by_rsync,
        });
        Ok(())
    }

    /// Changes a stored byte without a word.
    fn plant(&mut self) {
        let there = published(&self.world.host()).unwrap_or_default();
        let all: Vec<PathBuf> = there
            .values()
            .flat_map(|place| edits::files(&self.world.host().join(place)))
            .filter(|path| fs::metadata(path).is_ok_and(|of| of.len() > 0))
            .collect();
        if let Some(one) = all.get(self.random.index_below(all.len())) {
            edits::flip_unseen(one);
        }
    }

    /// Runs the program with a fate and looks what is left.
    pub(crate) fn strike(
        &mut self,
        doing: &'static str,
        words: &[&str],
        fate: Fate,
    ) -> Outcome<Traced> {
        let done = match fate {
            // It takes half the time, and what usually is done is known.
            Fate::Spared if self.counts.contains_key(doing) => Traced::of(self.world.run(words)),
            _ => self.world.strike(words, fate),
        };
        let said = done.ran.all();
        let what = match &done.struck {
            Some(call) => format!("`{}` {fate:?} at {call}", words.join(" ")),
            None => format!("`{}`", words.join(" ")),
        };
        if done.hung {
            return Err(Trouble::Wrong(format!("does not end: {what}")));
        }
        if said.contains("panicked") || done.ran.signal.is_some_and(|signal| signal != 9) {
            return Err(Trouble::Wrong(format!("{what}: {said}")));
        }
        let kind = match fate {
            Fate::Spared | Fate::Meets { .. } => None,
            Fate::Killed { .. } => Some(Kind::Killed),
            Fate::Fails { .. } => Some(Kind::Failed),
        };
        if let (Some(kind), Some(call)) = (kind, &done.struck) {
            let doing = if doing == "writes" {
                part_of_run(call)
            } else {
                doing
            };
            let call = call.clone();
            self.tell(News::Struck { kind, doing, call });
        }
        if kind == Some(Kind::Failed) && done.struck.is_some() {
            let code = done.ran.code;
            if ![0, 1, 2, 3, 4, 75].contains(&code) {
                return Err(Trouble::Wrong(format!("code {code} after {what}: {said}")));
            }
            // What it says itself may not have come through.
            let is_mute = matches!(
                fate,
                Fate::Fails {
                    call: "write",
                    for_ever: true,
                    ..
                }
            );
            let heard = !is_mute && !what.contains(" said.");
            if heard && ![0, 75].contains(&code) && !hints(&done.ran) {
                return Err(Trouble::Wrong(format!("no hint after {what}: {said}")));
            }
        } else if kind.is_none() && done.changing[0] > 0 {
            let counts = (done.changing, done.counts.clone());
            self.counts.insert(doing, counts);
        }
        self.ledger.names_apart = matches!(fate, Fate::Fails { call: "linkat", .. });
        self.ledger.may_lack = kind == Some(Kind::Failed) && done.ran.code != 0;
        self.look(&what)?;
        Ok(done)
    }

    /// A kill somewhere in what this usually does.
    pub(crate) fn some_kill(&mut self, doing: &'static str) -> Fate {
        // What is kept of a run takes more calls than small trees do.
        let stored = self.random.below(3) > 0;
        let counts = self.counts.get(doing);
        let usual = counts.map_or(100, |(changing, _)| changing[usize::from(stored)]);
        let nth = 1 + self.random.index_below(usual + usual / 20 + 1);
        Fate::Killed { nth, stored }
    }

    /// A call that fails somewhere in what this usually does; a kill where calls cannot be made to fail.
    fn some_failure(&mut self, doing: &'static str) -> Fate {
        let Some((_, counts)) = self.counts.get(doing).filter(|_| CAN_FAIL) else {
            return self.some_kill(doing);
        };
        let (call, count) = counts
            .iter()
            .nth(self.random.index_below(counts.len()))
            .map_or(("fsync", 1), |(call, count)| (*call, *count));
        Fate::Fails {
            call,
            nth: 1 + self.random.index_below(count),
            with: ERRORS[self.random.index_below(ERRORS.len())],
            for_ever: self.random.below(8) == 0,
        }
    }

    /// Kills these words some times, and lets them end then.
    pub(crate) fn killed_then_done(&mut self, doing: &'static str, words: &[&str]) -> Outcome<Ran> {
        for _ in 0..1 + self.random.below(3) {
            let fate = self.some_kill(doing);
            if self.strike(doing, words, fate)?.struck.is_none() {
                break;
            }
        }
        Ok(self.strike(doing, words, Fate::Spared)?.ran)
    }

    /// A night's run, disturbed, and what it takes until all is well.
    pub(crate) fn backup(&mut self) -> Outcome {
        let now = self.world.now();
        let words = ["apply", "--now", &now];
        for _ in 0..self.random.below(4) {
            let fate = match self.random.below(4) {
                0 => self.some_failure("writes"),
                _ => self.some_kill("writes"),
            };
            let done = self.strike("writes", &words, fate)?;
            if done.struck.is_none() || done.ran.code == 0 {
                break;
            }
        }
        self.ends_right()
    }

    /// Runs until the newest snapshot is as the sources, doing what the program says has to be done.
    pub(crate) fn ends_right(&mut self) -> Outcome {
        let mut said = String::new();
        for hours in 0..6 {
            let now = self.world.at_hours(hours);
            let ran = self
                .strike("writes", &["apply", "--now", &now], Fate::Spared)?
                .ran;
            if ran.code == 0 {
                return self.newest_is_the_source();
            }
            said = ran.all();
            self.as_told(&said, &now)?;
        }
        Err(Trouble::Wrong(format!("is never well again: {said}")))
    }

    /// What the program asks of a person.
    fn as_told(&mut self, said: &str, now: &str) -> Outcome {
        if let Some(id) = named(said, "backup accept ") {
            self.strike("accepts", &["accept", &id], Fate::Spared)?;
            self.ledger.accept_all();
        }
        if said.contains("backup prune") || said.contains("--approve-deletions") {
            self.strike("prunes", &["prune", "--yes", "--now", now], Fate::Spared)?;
        }
        if let Some(id) = named(said, "backup delete ") {
            self.ledger.let_go.insert(id.clone());
            self.strike("deletes", &["delete", &id, "--yes"], Fate::Spared)?;
        }
        Ok(())
    }

    pub(crate) fn newest_is_the_source(&self) -> Outcome {
        let latest = fs::canonicalize(self.world.host().join("latest"))
            .map_err(|error| Trouble::Wrong(format!("latest: {error}")))?;
        let source = self.world.source();
        let inside = latest.join(source.strip_prefix("/").unwrap());
        let mut both = [source, inside].map(|folder| Tree::of(&folder));
        if self.ledger.names_apart {
            both = both.map(Tree::of_files_apart);
        }
        match both[0].difference(&both[1]) {
            None => Ok(()),
            Some(differs) => Err(Trouble::Lost(format!(
                "code 0, and latest is not as the source: {differs}"
            ))),
        }
    }

    /// One of the snapshots that are there.
    pub(crate) fn some_snapshot(&mut self) -> Outcome<String> {
        let all = self.ledger.there(&self.world)?;
        let at = self.random.index_below(all.len());
        all.get(at)
            .cloned()
            .ok_or_else(|| Trouble::Lost("all snapshots".to_owned()))
    }
}

/// Whether a person is told what to do.
pub(crate) fn hints(ran: &Ran) -> bool {
    ran.all().contains("hint")
}

/// What a run does at a call.
fn part_of_run(call: &str) -> &'static str {
    let has = |part: &str| call.contains(part);
    if has("/.backup/partial/") && !has(" -> ") || has("copied.log") || has("/manifest") {
        "writes"
    } else if has("/trash") || has("/moving") || has("rotation.json") || has("latest") {
        "rotates"
    } else if has("/.backup/partial/") {
        "publishes"
    } else if has("/dst/") {
        "prepares"
    } else {
        "keeps its books"
    }
}

/// The first id behind a command that a text names.
fn named(said: &str, command: &str) -> Option<String> {
    let at = said.find(command)? + command.len();
    let word = said[at..].split_whitespace().next()?;
    let id = word.trim_matches(|letter: char| !letter.is_ascii_digit());
    (id.len() == 19).then(|| id.to_owned())
}

/// Removes a folder, whatever stands there.
pub(crate) fn clear(folder: &Path) {
    let _ = fs::remove_dir_all(folder);
}
