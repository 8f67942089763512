//! The machine, its ten disks and its remote, and what must be on each.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use chrono::{DateTime, FixedOffset, TimeDelta};
use serde_json::{Value, json};
use tempfile::TempDir;
use test_support::{Lab, Ran, Random};

use super::told::{self, Ends, Lateness};
use crate::{
    disk::{Disk, Memory},
    home::Home,
    model::{self, Made, Model},
    night,
    world::{HOST, named_command},
};

/// Disks that take turns.
const DISKS: usize = 10;
/// The name of the remote.
pub(crate) const FAR: &str = "far";
/// What the remote keeps of days, weeks and months, and whatever their day.
const FAR_KEEPS: (usize, usize, usize) = (4, 2, 1);
const FAR_LAST: usize = 1;

/// A disk that takes turns.
pub(crate) struct Turning {
    pub(crate) name: String,
    pub(crate) disk: Disk,
    pub(crate) model: Model,
    /// Whether it will never be seen again.
    pub(crate) is_lost: bool,
    /// Whether the configuration names it.
    pub(super) is_configured: bool,
    /// Whether its absence is an error.
    pub(crate) must_be_there: bool,
    pub(super) lateness: Lateness,
}

/// The machine with all that is on it and in its drawers.
pub(crate) struct Household {
    // Unmounted in this order, before their folder goes.
    pub(crate) disks: Vec<Turning>,
    _memory: Memory,
    pub(crate) far: Model,
    pub(crate) home: Home,
    pub(crate) random: Random,
    pub(crate) day: u32,
    /// Days of a turn.
    pub(super) turn: u32,
    /// How long one may be without a backup: longer than until its next turn.
    pub(super) most: TimeDelta,
    /// Reports that were told so far.
    pub(super) told: usize,
    /// Nights in a row that one was told to be late.
    pub(super) told_late: BTreeMap<String, u32>,
    nights: u32,
    user_actions: Vec<String>,
    pub(super) lab: Lab,
}

impl std::ops::Deref for Household {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.lab
    }
}

impl Household {
    pub(crate) fn new(seed: u64, turn: u32) -> Self {
        let folder = TempDir::with_prefix("backup-turns.").unwrap();
        let memory = Memory::at(folder.path(), 800);
        // Ten disks of which every other turn has two: seven turns, and one to spare. A backup is late at no
        // hour of one, whatever the milliseconds.
        let most = TimeDelta::days(i64::from(turn) * 8) + TimeDelta::hours(12);
        let lab = Lab::new(env!("CARGO_BIN_EXE_backup"), folder, |folder| {
            let disk = |number| {
                let options = json!({
                    "type": "disk",
                    "mountPoint": folder.join(disk_name(number)),
                    "useRsync": false,
                    "minSpaceGB": 0,
                    "ifAbsent": "defer",
                });
                (disk_name(number), options)
            };
            let mut all: serde_json::Map<String, Value> = (0..DISKS).map(disk).collect();
            let (daily, weekly, monthly) = FAR_KEEPS;
            let far = json!({
                "type": "remote",
                "remote": "far:",
                "configFile": folder.join("rclone.conf"),
                "keepLast": FAR_LAST,
                "keepDaily": daily,
                "keepWeekly": weekly,
                "keepMonthly": monthly,
                "keepHistoryDays": 3,
            });
            all.insert(FAR.to_owned(), far);
            json!({
                "version": 1,
                "hostname": HOST,
                "local": {
                    "enable": false,
                    "excludePatterns": [],
                    "sources": [folder.join("home")],
                },
                "destinations": all,
                "schedule": { "onlyOnAC": false },
                "monitoring": { "maxAge": format!("{}h", most.num_hours()) },
                "notifications": {
                    "enable": true,
                    "desktop": false,
                    "command": folder.join("tell"),
                },
            })
        });
        told::keep_reports(&lab);
        fs::create_dir(lab.path("home")).unwrap();
        fs::create_dir(lab.path(FAR)).unwrap();
        let alias = format!("[far]\ntype = alias\nremote = {}\n", lab.text(FAR));
        lab.write("rclone.conf", &alias);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(lab.path("rclone.conf"), mode).unwrap();
        let disks = (0..DISKS).map(|number| {
            let name = disk_name(number);
            let (image, at) = (lab.path(format!("{name}.img")), lab.path(&name));
            let mut disk = Disk::new(image, 24, at);
            disk.detach();
            Turning {
                name,
                disk,
                model: Model::default(),
                is_lost: false,
                is_configured: true,
                must_be_there: false,
                lateness: Lateness::default(),
            }
        });
        Self {
            disks: disks.collect(),
            _memory: memory,
            far: Model::keeping(FAR_KEEPS, FAR_LAST),
            home: Home::new(&lab.path("home"), seed),
            random: Random::new(seed),
            day: 0,
            turn,
            most,
            told: 0,
            told_late: BTreeMap::new(),
            nights: 0,
            user_actions: Vec::new(),
            lab,
        }
    }

    /// Sets a key of a destination.
    pub(crate) fn set(&mut self, destination: &str, key: &str, value: impl Into<Value>) {
        let key = format!("destinations.{destination}.{key}");
        self.lab.set(&key, value);
    }

    /// Counts something that the user had to do.
    pub(crate) fn count_action(&mut self, what: &str) {
        let text = format!("{}  {what}", night::date(self.day));
        self.user_actions.push(text);
    }

    /// Does what the program says that the user has to do.
    #[track_caller]
    pub(crate) fn follow_advice(&mut self, told: &Ran, verb: &str) -> Ran {
        let words = named_command(told, verb);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.count_action(&format!("backup {}", words.join(" ")));
        match verb {
            "delete" => self.at(5, &[&words[..], &["--yes"]].concat()),
            _ => self.run(&words),
        }
    }

    pub(crate) fn now(&self, hour: u32) -> DateTime<FixedOffset> {
        night::at(self.day, hour)
    }

    /// Runs the program at an hour of this day.
    pub(crate) fn at(&self, hour: u32, arguments: &[&str]) -> Ran {
        self.lab.at(&self.now(hour).to_rfc3339(), arguments)
    }

    /// The folder of this machine on a disk.
    pub(crate) fn stored_on(&self, disk: usize) -> PathBuf {
        self.path(&self.disks[disk].name).join(HOST)
    }

    /// Where the household's files are in a snapshot.
    pub(crate) fn home_in(&self, snapshot: &Path) -> PathBuf {
        snapshot.join(self.path("home").strip_prefix("/").unwrap())
    }

    /// The disks that are there.
    pub(crate) fn present(&self) -> Vec<usize> {
        let all = 0..self.disks.len();
        all.filter(|disk| self.disks[*disk].disk.is_mounted())
            .collect()
    }

    /// One that is in a drawer and not lost.
    pub(crate) fn one_away(&mut self) -> usize {
        let is_away = |one: &Turning| !one.disk.is_mounted() && !one.is_lost;
        let all: Vec<usize> = (0..self.disks.len())
            .filter(|disk| is_away(&self.disks[*disk]))
            .collect();
        all[self.random.index_below(all.len())]
    }

    /// A day passes; where a turn ends the disks are changed.
    pub(crate) fn pass_day(&mut self, day: u32) {
        self.day = day;
        self.home.day(day);
        if day.is_multiple_of(self.turn) {
            self.change_disks(day / self.turn);
        }
    }

    /// The disks of a turn: the next one, and in every other turn one more.
    fn change_disks(&mut self, turn: u32) {
        for one in &mut self.disks {
            one.disk.detach();
        }
        let first = turn as usize + turn as usize / 2;
        for place in 0..1 + turn as usize % 2 {
            let one = &mut self.disks[(first + place) % DISKS];
            if !one.is_lost {
                one.disk.attach();
            }
        }
    }

    /// How a run must end for each of these, or for all.
    pub(crate) fn wanted_ends(&self, only: Option<&[&str]>) -> Ends {
        let disks = self.disks.iter().filter(|one| one.is_configured);
        let disks = disks.map(|one| {
            let end = match (one.disk.is_mounted(), one.must_be_there) {
                (true, _) => "success",
                (false, true) => "refused",
                (false, false) => "deferred",
            };
            (one.name.clone(), end.to_owned())
        });
        let mut all: Ends = disks.collect();
        all.insert(FAR.to_owned(), "success".to_owned());
        if let Some(only) = only {
            all.retain(|name, _| only.contains(&name.as_str()));
        }
        all
    }

    /// A night like any other.
    pub(crate) fn night(&mut self) {
        self.night_at(2);
    }

    /// The same at this hour.
    pub(crate) fn night_at(&mut self, hour: u32) {
        let ends = self.wanted_ends(None);
        self.back_up(hour, &["apply"], &ends);
    }

    /// The run after a kill, before which one disk was exchanged for another: all others are served.
    pub(crate) fn night_after_a_kill(&mut self, hour: u32, taken: usize, instead: usize) {
        let ran = self.at(hour, &["apply", "--json"]);
        let report = ran.json();
        let ends = told::ends_of(&report);
        assert_eq!(ran.code, told::code_of(&ends), "{ran}");
        let exchanged = [taken, instead].map(|disk| self.disks[disk].name.clone());
        for (name, wanted) in self.wanted_ends(None) {
            let end = &ends[&name];
            let is_either =
                exchanged.contains(&name) && ["success", "deferred"].contains(&end.as_str());
            assert!(*end == wanted || is_either, "{name}: {ran}");
        }
        for disk in self.present() {
            self.note_all_sealed(disk, true);
        }
        self.note_all_uploaded(true);
        self.forget_told();
    }

    /// Counts no report that was told until now.
    pub(crate) fn forget_told(&mut self) {
        self.told = told::reports(&self.lab).len();
    }

    /// A run of this hour, which must end so for each, with all that follows from it.
    #[track_caller]
    pub(crate) fn back_up(&mut self, hour: u32, arguments: &[&str], ends: &Ends) -> Value {
        let now = self.now(hour);
        let report = self.back_up_by(now, arguments, ends);
        self.check_told(now, ends);
        report
    }

    /// The same by another clock, of which nobody knows what it makes late.
    #[track_caller]
    pub(crate) fn back_up_by(
        &mut self,
        now: DateTime<FixedOffset>,
        arguments: &[&str],
        ends: &Ends,
    ) -> Value {
        self.nights += 1;
        let words = [arguments, &["--json"]].concat();
        let ran = self.lab.at(&now.to_rfc3339(), &words);
        let day = self.day;
        let ran = ran.expect(told::code_of(ends));
        let report = ran.json();
        assert_eq!(told::ends_of(&report), *ends, "day {day}: {ran}");
        let is_ahead = now > self.now(23);
        // A disk that is there and gets nothing new has only older ones to give.
        let gives_older = ends.values().any(|end| end == "refused");
        for (name, end) in ends {
            self.note_end((name, end), now, is_ahead, gives_older);
        }
        self.nothing_new(&format!("{ran}"));
        report
    }

    fn note_end(
        &mut self,
        (name, end): (&str, &str),
        now: DateTime<FixedOffset>,
        is_ahead: bool,
        gives_older: bool,
    ) {
        let disk = self.disks.iter().position(|one| one.name == name);
        match (disk, end) {
            (Some(disk), "success") => {
                self.note_sealed(disk, !is_ahead);
                if !is_ahead {
                    self.disks[disk].lateness.served(now);
                }
            }
            (Some(disk), "deferred") if !is_ahead => self.disks[disk].lateness.deferred(now),
            (None, "success") => self.note_uploaded(!is_ahead, gives_older),
            _ => {}
        }
    }

    fn made_now(&self, counts: bool) -> Made {
        Made {
            holds: self.home.files().clone(),
            day: night::date(self.day),
            complete: true,
            counts,
        }
    }

    /// Notes all that a disk got since, which must be one and hold what the household has now.
    #[track_caller]
    fn note_sealed(&mut self, disk: usize, counts: bool) {
        let many = self.note_all_sealed(disk, counts);
        let name = &self.disks[disk].name;
        assert_eq!(many, 1, "day {}: new on {name}", self.day);
    }

    /// The same of a run of which nobody knows how far it came.
    pub(crate) fn note_all_sealed(&mut self, disk: usize, counts: bool) -> usize {
        let found = model::found(&self.stored_on(disk));
        let known = &self.disks[disk].model.made;
        let new: Vec<_> = found
            .into_iter()
            .filter(|(id, _)| !known.contains_key(id))
            .collect();
        for (id, path) in &new {
            let stored = model::read(&self.home_in(path));
            let different = model::difference(self.home.files(), &stored);
            assert_eq!(different, None, "day {}: {id}", self.day);
            let made = self.made_now(counts);
            self.disks[disk].model.made.insert(id.clone(), made);
        }
        new.len()
    }

    /// The snapshots on the remote that are not let go.
    pub(crate) fn far_ids(&self) -> BTreeSet<String> {
        let folder = self.path(FAR).join("Backups").join(HOST).join("records");
        let names = fs::read_dir(folder).into_iter().flatten();
        let names: Vec<String> = names
            .map(|one| one.unwrap().file_name().into_string().unwrap())
            .collect();
        let ids = |end: &str| -> BTreeSet<String> {
            let ids = names.iter().filter_map(|name| name.strip_suffix(end));
            let ids = ids.filter(|id| id.len() == "2025-03-01_02-00-00".len());
            ids.map(str::to_owned).collect()
        };
        &ids(".json") - &ids(".expired.json")
    }

    /// Notes what the remote got since; nothing, where it has all of it already.
    fn note_uploaded(&mut self, counts: bool, or_nothing: bool) {
        let many = self.note_all_uploaded(counts);
        let newest = self.far.made.values().rfind(|one| one.counts);
        let is_there = |made: &Made| model::difference(self.home.files(), &made.holds).is_none();
        let has_it = many == 0 && newest.is_some_and(is_there);
        let is_right = many == 1 || has_it || many == 0 && or_nothing;
        assert!(is_right, "day {}: {many} uploaded", self.day);
    }

    /// The same of a run of which nobody knows how far it came.
    pub(crate) fn note_all_uploaded(&mut self, counts: bool) -> usize {
        let mut new = self.far_ids();
        new.retain(|id| !self.far.made.contains_key(id));
        for id in &new {
            let made = self.made_now(counts);
            self.far.made.insert(id.clone(), made);
        }
        new.len()
    }

    /// Fails if a destination has what nobody noted.
    #[track_caller]
    fn nothing_new(&self, because: &str) {
        for disk in self.present() {
            let one = &self.disks[disk];
            let found = model::found(&self.stored_on(disk));
            let unknown = found.keys().find(|id| !one.model.made.contains_key(*id));
            assert_eq!(unknown, None, "day {}, {}: {because}", self.day, one.name);
        }
        let unknown = self.far_ids();
        let unknown = unknown.iter().find(|id| !self.far.made.contains_key(*id));
        assert_eq!(unknown, None, "day {}, the remote: {because}", self.day);
    }

    pub(crate) fn print_actions(&self) {
        let mut text = format!(
            "ten disks in turns: {} runs; the household had to do {} things:\n",
            self.nights,
            self.user_actions.len()
        );
        for one in &self.user_actions {
            text += &format!("  {one}\n");
        }
        // Not to be captured: it is what a life comes to.
        std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes()).unwrap();
    }
}

fn disk_name(number: usize) -> String {
    format!("disk-{number}")
}
