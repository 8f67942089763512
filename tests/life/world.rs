//! The machine, its disk and its household, and the program that is run on them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    ops::Deref,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use tempfile::TempDir;
pub(crate) use test_support::{Lab, Ran, Random, run_command};

use crate::{
    disk::{Disk, Memory},
    home::Home,
    model::{self, Made, Model},
    night,
};

/// Name of the machine.
pub(crate) const HOST: &str = "atlas";

/// The arguments of the first command of this verb that the program names.
#[track_caller]
pub(crate) fn named_command(told: &Ran, verb: &str) -> Vec<String> {
    let line = told.in_one_line();
    let start = format!("backup {verb}");
    let at = line
        .find(&start)
        .unwrap_or_else(|| panic!("names no `{start}`: {told}"));
    let mut words = vec![verb.to_owned()];
    for word in line[at + start.len()..].split_whitespace() {
        let bare = word.trim_end_matches(['`', ',', '.', ';', ':', ')', '"']);
        let is_argument = bare.starts_with("--")
            || words.last().is_some_and(|last| last == "--destination")
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

/// What the user did, and because of what.
struct UserAction {
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
    lab: Lab,
    installed: u32,
    user_actions: Vec<UserAction>,
    nights: u32,
    quiet: u32,
}

impl Deref for World {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.lab
    }
}

impl World {
    pub(crate) fn new(rsync: bool, seed: u64) -> Self {
        let folder = TempDir::with_prefix("backup-life.").unwrap();
        let memory = Memory::at(folder.path(), 400);
        let lab = Lab::new(env!("CARGO_BIN_EXE_backup"), folder, |folder| {
            json!({
                "version": 1,
                "hostname": HOST,
                "local": {
                    "enable": true,
                    "mountPoint": folder.join("mnt"),
                    "minSpaceGB": 0,
                    "useRsync": rsync,
                    "excludePatterns": [],
                    "sources": [folder.join("home"), folder.join("one.conf")],
                },
                "schedule": { "onlyOnAC": false },
                "notifications": { "desktop": false },
            })
        });
        fs::create_dir(lab.path("home")).unwrap();
        lab.write("one.conf", "set = 1\n");
        let disk = Disk::new(lab.path("disk.img"), 40, lab.path("mnt"));
        let world = Self {
            disk,
            _memory: memory,
            home: Home::new(&lab.path("home"), seed),
            model: Model::default(),
            random: Random::new(seed),
            day: 0,
            makes_room: false,
            installed: 1,
            user_actions: Vec::new(),
            nights: 0,
            quiet: 0,
            lab,
        };
        world.write_machine_id();
        world
    }

    /// Where the household's files are in a snapshot.
    pub(crate) fn home_in(&self, snapshot: &Path) -> PathBuf {
        snapshot.join(self.path("home").strip_prefix("/").unwrap())
    }

    /// Sets a key below `local`.
    pub(crate) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.lab.set(&format!("local.{key}"), value);
    }

    fn write_machine_id(&self) {
        let id = format!("{:032x}\n", self.installed);
        self.lab.write("machine-id", &id);
    }

    /// The machine gets a new system: what it remembers is gone, and who it is as well.
    pub(crate) fn install_anew(&mut self) {
        self.installed += 1;
        fs::remove_dir_all(self.path("state")).unwrap();
        self.write_machine_id();
    }

    /// The program on this machine, whose identity is its own.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let id = self.lab.text("machine-id");
        let script = "mount --bind \"$0\" /etc/machine-id && exec \"$@\"";
        let options = ["--mount", "sh", "-c", script, &id];
        self.lab.command_below("unshare", &options, arguments)
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let ran = run_command(self.command(arguments), arguments);
        self.lab.in_short(ran)
    }

    /// Runs the program at an hour of this day.
    pub(crate) fn at(&self, hour: u32, arguments: &[&str]) -> Ran {
        let now = night::at(self.day, hour).to_rfc3339();
        self.run(&[arguments, &["--now", &now]].concat())
    }

    /// What the user has to do, told by the program: done, and counted.
    #[track_caller]
    pub(crate) fn follow_advice(&mut self, event: &'static str, told: &Ran, verb: &str) -> Ran {
        let words = named_command(told, verb);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.count_action(event, &format!("backup {}", words.join(" ")));
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
    pub(crate) fn count_action(&mut self, event: &'static str, command: &str) {
        self.user_actions.push(UserAction {
            day: self.day,
            event,
            command: command.to_owned(),
        });
    }

    /// A day passes.
    pub(crate) fn pass_day(&mut self, day: u32) {
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
        self.backup().expect(0);
        self.note_sealed(true, true);
        self.model.none_too_many(&model::found(&self.stored("")));
        if day % 7 == 3 {
            let status = self.at(3, &["status"]).expect(0);
            assert!(status.stdout.starts_with("ok"), "day {day}: {status}");
            self.at(3, &["health", "--quick"]).expect(0);
        }
    }

    /// Notes that the run that just ended has made a snapshot, which must hold the household's
    /// files as they are now; gives its id.
    #[track_caller]
    pub(crate) fn note_sealed(&mut self, complete: bool, counts: bool) -> String {
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
        let stored = model::read(&self.home_in(&found[&id]));
        let different = model::difference(&made.holds, &stored);
        assert_eq!(different, None, "day {}: {id}", self.day);
        self.model.made.insert(id.clone(), made);
        id
    }

    /// A person takes snapshots away: what the policy had let go before does not come back for it.
    ///
    /// `before` are those that were there until then.
    pub(crate) fn note_deletions(&mut self, before: &BTreeMap<String, PathBuf>) {
        let found = model::found(&self.stored(""));
        self.model
            .made
            .retain(|id, _| before.contains_key(id) && found.contains_key(id));
    }

    /// As [`Self::note_sealed`], but of a night that may have made two snapshots of the same files.
    pub(crate) fn note_all_sealed(&mut self) {
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
        self.note_sealed(true, true);
    }

    /// Compares the drive with the model: nothing is gone that the policy keeps, and what is there
    /// holds what it held; all of it once in ten days.
    pub(crate) fn compare_with_model(&mut self, day: u32) {
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
                let stored = model::read(&self.home_in(path));
                let different = model::difference(&self.model.made[id].holds, &stored);
                assert_eq!(different, None, "day {day}: {id}");
            }
        }
    }

    /// The year is over: all that is stored is whole, and comes back as it was.
    pub(crate) fn all_comes_back(&self) {
        self.run(&["verify", "--all"]).expect(0);
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
            .expect(0);
            let holds = &self.model.made[id].holds;
            let different = model::difference(holds, &model::read(&back));
            assert_eq!(different, None, "{id} restored");
        }
    }

    /// Prints what the user had to do, which is at most one thing for each event.
    pub(crate) fn print_actions(&self, engine: &str) {
        let many = match self.user_actions.len() {
            1 => "one thing".to_owned(),
            many => format!("{many} things"),
        };
        let mut text = format!(
            "a year with the {engine} engine: {} runs, {} of them in quiet nights; the user had to do {many}:\n",
            self.nights, self.quiet,
        );
        for deed in &self.user_actions {
            let day = night::date(deed.day);
            text += &format!("  {day}  {:32} {}\n", deed.event, deed.command);
        }
        // Not to be captured: it is what a year comes to.
        std::io::stderr().write_all(text.as_bytes()).unwrap();
        for deed in &self.user_actions {
            let same = self
                .user_actions
                .iter()
                .filter(|other| other.event == deed.event);
            assert_eq!(
                same.count(),
                1,
                "{} wanted more than one command",
                deed.event
            );
        }
    }
}
