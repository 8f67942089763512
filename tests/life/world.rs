//! The machine, its disk and its household, and the program that is run on them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    disk::{Disk, Memory},
    home::Home,
    model::{self, Made, Model},
    night,
};

/// Name of the machine.
const HOST: &str = "atlas";

/// How a call of the program ended.
pub(crate) struct Ran {
    pub(crate) code: i32,
    /// Both outputs, as they came.
    pub(crate) text: String,
    what: String,
}

impl Ran {
    /// Both outputs in one line, as a person reads them.
    pub(crate) fn line(&self) -> String {
        self.text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Fails unless it ended with one of these codes.
    #[track_caller]
    pub(crate) fn expect(self, codes: &[i32]) -> Self {
        assert!(codes.contains(&self.code), "wanted {codes:?}: {self}");
        self
    }

    /// Fails unless it says this.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.line().contains(text), "does not say `{text}`: {self}");
        self
    }

    /// The arguments of the first command of this verb that it names.
    #[track_caller]
    pub(crate) fn names(&self, verb: &str) -> Vec<String> {
        let line = self.line();
        let start = format!("backup {verb}");
        let at = line
            .find(&start)
            .unwrap_or_else(|| panic!("names no `{start}`: {self}"));
        let mut words = vec![verb.to_owned()];
        for word in line[at + start.len()..].split_whitespace() {
            let bare = word.trim_end_matches(['`', ',', '.', ';', ':', ')', '"']);
            let is_argument = bare.starts_with("--")
                || bare.starts_with('/')
                || bare
                    .chars()
                    .next()
                    .is_some_and(|first| first.is_ascii_digit());
            if !is_argument {
                break;
            }
            words.push(bare.to_owned());
            if bare != word {
                break;
            }
        }
        words
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "backup {}\nexit code {}\n{}",
            self.what, self.code, self.text
        )
    }
}

/// Random numbers that can be had again (xorshift64*).
#[derive(Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let words = std::iter::repeat_with(|| self.next().to_le_bytes());
        words
            .take(length.div_ceil(8))
            .flatten()
            .take(length)
            .collect()
    }
}

/// What the user did, and because of what.
struct Deed {
    day: u32,
    event: &'static str,
    command: String,
}

/// The machine with all that is on it.
pub(crate) struct World {
    // Unmounted in this order, before their folder goes.
    pub(crate) disk: Disk,
    _memory: Memory,
    pub(crate) home: Home,
    pub(crate) model: Model,
    pub(crate) random: Random,
    pub(crate) day: u32,
    /// Whether the oldest go where there is no room.
    pub(crate) makes_room: bool,
    folder: TempDir,
    config: Value,
    installed: u32,
    deeds: Vec<Deed>,
    nights: u32,
    quiet: u32,
}

impl World {
    pub(crate) fn new(rsync: bool, seed: u64) -> Self {
        let folder = TempDir::with_prefix("backup-life.").unwrap();
        let memory = Memory::at(folder.path());
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("home")).unwrap();
        fs::write(at("one.conf"), "set = 1\n").unwrap();
        let disk = Disk::new(at("disk.img"), 40, at("mnt"));
        let world = Self {
            disk,
            _memory: memory,
            home: Home::new(&at("home"), seed),
            model: Model::default(),
            random: Random::new(seed),
            day: 0,
            makes_room: false,
            config: json!({
                "version": 1,
                "hostname": HOST,
                "local": {
                    "enable": true,
                    "mountPoint": at("mnt"),
                    "minSpaceGB": 0,
                    "useRsync": rsync,
                    "excludePatterns": [],
                    "sources": [at("home"), at("one.conf")],
                },
                "schedule": { "onlyOnAC": false },
                "notifications": { "desktop": false },
            }),
            installed: 1,
            deeds: Vec::new(),
            nights: 0,
            quiet: 0,
            folder,
        };
        world.save();
        world
    }

    /// A path of the machine.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// A path in the host's folder on the drive.
    pub(crate) fn stored(&self, relative: &str) -> PathBuf {
        self.path("mnt").join(HOST).join(relative)
    }

    /// Where the household's files are in a snapshot.
    pub(crate) fn inside(&self, snapshot: &Path) -> PathBuf {
        snapshot.join(self.path("home").strip_prefix("/").unwrap())
    }

    /// Sets a key below `local`.
    pub(crate) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.config["local"][key] = value.into();
        self.save();
    }

    fn save(&self) {
        let json = serde_json::to_string_pretty(&self.config).unwrap();
        fs::write(self.path("config.json"), json).unwrap();
        let id = format!("{:032x}\n", self.installed);
        fs::write(self.path("machine-id"), id).unwrap();
    }

    /// The machine gets a new system: what it remembers is gone, and who it is as well.
    pub(crate) fn install_anew(&mut self) {
        self.installed += 1;
        fs::remove_dir_all(self.path("state")).unwrap();
        self.save();
    }

    /// The program on this machine, whose identity is its own.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c"])
            .arg("mount --bind \"$0\" /etc/machine-id && exec \"$@\"")
            .arg(self.path("machine-id"))
            .arg(env!("CARGO_BIN_EXE_backup"))
            .args(arguments)
            .args(["--config".as_ref(), self.path("config.json").as_os_str()])
            .args(["--state-dir".as_ref(), self.path("state").as_os_str()])
            .args(["--log-dir".as_ref(), self.path("log").as_os_str()])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("root"))
            .env("TZ", "Europe/Berlin")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let output = self.command(arguments).output().unwrap();
        let signal = output.status.signal().unwrap_or(0);
        Ran {
            code: output.status.code().unwrap_or(128 + signal),
            text: [&output.stdout[..], &output.stderr[..]]
                .map(String::from_utf8_lossy)
                .concat(),
            what: arguments.join(" "),
        }
    }

    /// Runs the program at an hour of this day.
    pub(crate) fn at(&self, hour: u32, arguments: &[&str]) -> Ran {
        let now = night::at(self.day, hour).to_rfc3339();
        self.run(&[arguments, &["--now", &now]].concat())
    }

    /// What the user has to do, told by the program: done, and counted.
    #[track_caller]
    pub(crate) fn obey(&mut self, event: &'static str, told: &Ran, verb: &str) -> Ran {
        let words = told.names(verb);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.did(event, &format!("backup {}", words.join(" ")));
        let ran = match verb {
            "prune" | "delete" => self.at(2, &[&words[..], &["--yes"]].concat()),
            _ => self.run(&words),
        };
        Ran {
            what: format!("{}, as told by {told}\n", ran.what),
            ..ran
        }
    }

    /// Counts something that the user had to do.
    pub(crate) fn did(&mut self, event: &'static str, command: &str) {
        self.deeds.push(Deed {
            day: self.day,
            event,
            command: command.to_owned(),
        });
    }

    /// A day passes.
    pub(crate) fn live(&mut self, day: u32) {
        self.day = day;
        self.home.day(day);
    }

    /// The timer's run of this night.
    pub(crate) fn backup(&mut self) -> Ran {
        self.nights += 1;
        self.at(2, &["apply"])
    }

    /// A night in which nothing is wrong: the run is complete, and nobody has to look at anything.
    pub(crate) fn quiet_night(&mut self, day: u32) {
        self.quiet += 1;
        self.backup().expect(&[0]);
        self.sealed(true, true);
        self.model.none_too_many(&model::found(&self.stored("")));
        if day % 7 == 3 {
            let status = self.at(3, &["status"]).expect(&[0]);
            assert!(status.text.starts_with("ok"), "day {day}: {status}");
            self.at(3, &["health", "--quick"]).expect(&[0]);
        }
    }

    /// Notes that the run that just ended has made a snapshot, which must hold the household's
    /// files as they are now; gives its id.
    #[track_caller]
    pub(crate) fn sealed(&mut self, complete: bool, counts: bool) -> String {
        let found = model::found(&self.stored(""));
        let mut new = found.keys().filter(|id| !self.model.made.contains_key(*id));
        let id = new
            .next()
            .unwrap_or_else(|| panic!("day {}: no new snapshot", self.day))
            .clone();
        assert_eq!(new.next(), None, "day {}: two new snapshots", self.day);
        let made = Made {
            holds: self.home.files().clone(),
            day: night::date(self.day),
            complete,
            counts,
        };
        let stored = model::read(&self.inside(&found[&id]));
        let different = model::difference(&made.holds, &stored);
        assert_eq!(different, None, "day {}: {id}", self.day);
        self.model.made.insert(id.clone(), made);
        id
    }

    /// A person takes snapshots away: what the policy had let go before does not come back for it.
    ///
    /// `before` are those that were there until then.
    pub(crate) fn taken_away(&mut self, before: &BTreeMap<String, PathBuf>) {
        let found = model::found(&self.stored(""));
        self.model
            .made
            .retain(|id, _| before.contains_key(id) && found.contains_key(id));
    }

    /// As [`Self::sealed`], but of a night that may have made two snapshots of the same files.
    pub(crate) fn sealed_all(&mut self) {
        let found = model::found(&self.stored(""));
        let mut new: Vec<&String> = found
            .keys()
            .filter(|id| !self.model.made.contains_key(*id))
            .collect();
        if new.len() > 1 {
            let id = new.remove(0).clone();
            let made = Made {
                holds: self.home.files().clone(),
                day: night::date(self.day),
                complete: true,
                counts: true,
            };
            self.model.made.insert(id, made);
        }
        self.sealed(true, true);
    }

    /// Compares the drive with the model: nothing is gone that the policy keeps, and what is there
    /// holds what it held; all of it once in ten days.
    pub(crate) fn compare(&mut self, day: u32) {
        if !self.disk.is_mounted() {
            return;
        }
        let found = model::found(&self.stored(""));
        let dangling = model::dangling(&self.stored(""));
        assert!(dangling.is_empty(), "day {day}: {dangling:?} lead nowhere");
        if self.makes_room {
            // The last two never make room; what did is no loss of the policy's.
            for id in self.model.made.keys().rev().take(2) {
                assert!(found.contains_key(id), "day {day}: {id} is gone");
            }
            self.model.made.retain(|id, _| found.contains_key(id));
        }
        for one_of in self.model.must_be_there() {
            let there = one_of.iter().any(|id| found.contains_key(*id));
            assert!(
                there,
                "day {day}: none of {one_of:?} is left of {:?}",
                found.keys()
            );
        }
        let unknown: BTreeSet<_> = found
            .keys()
            .filter(|id| !self.model.made.contains_key(*id))
            .collect();
        assert!(
            unknown.is_empty(),
            "day {day}: {unknown:?} came from nowhere"
        );
        if day % 10 == 9 {
            for (id, path) in &found {
                let stored = model::read(&self.inside(path));
                let different = model::difference(&self.model.made[id].holds, &stored);
                assert_eq!(different, None, "day {day}: {id}");
            }
        }
    }

    /// The year is over: all that is stored is whole, and comes back as it was.
    pub(crate) fn all_comes_back(&self) {
        self.run(&["verify", "--all"]).expect(&[0]);
        let found = model::found(&self.stored(""));
        let (first, last) = (found.keys().next().unwrap(), found.keys().last().unwrap());
        for id in [first, last] {
            let (home, back) = (self.path("home"), self.path(id));
            self.run(&[
                "restore",
                id,
                home.to_str().unwrap(),
                back.to_str().unwrap(),
            ])
            .expect(&[0]);
            let holds = &self.model.made[id].holds;
            let different = model::difference(holds, &model::read(&back));
            assert_eq!(different, None, "{id} restored");
        }
    }

    /// Prints what the user had to do, which is at most one thing for each event.
    pub(crate) fn told(&self, engine: &str) {
        let many = match self.deeds.len() {
            1 => "one thing".to_owned(),
            many => format!("{many} things"),
        };
        let mut text = format!(
            "a year with the {engine} engine: {} runs, {} of them in quiet nights; the user had to do {many}:\n",
            self.nights, self.quiet,
        );
        for deed in &self.deeds {
            let day = night::date(deed.day);
            text += &format!("  {day}  {:32} {}\n", deed.event, deed.command);
        }
        // Not to be captured: it is what a year comes to.
        std::io::stderr().write_all(text.as_bytes()).unwrap();
        for deed in &self.deeds {
            let same = self.deeds.iter().filter(|other| other.event == deed.event);
            assert_eq!(
                same.count(),
                1,
                "{} wanted more than one command",
                deed.event
            );
        }
    }
}
