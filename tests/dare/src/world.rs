//! A machine with sources and a destination, small enough for many lives a minute.

use std::{
    fs,
    ops::Deref,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use serde_json::json;
use tempfile::TempDir;
use test_support::{Lab, Ran, Random};

use crate::tracer::{self, Fate, Traced, WRAPPER};

/// How many days, weeks and months the policy keeps, and how many whatever their day: few, so that each night
/// lets something go.
const KEEP: (usize, usize, usize) = (3, 2, 1);
/// See [`KEEP`].
const LAST: usize = 2;

/// What is told apart of a machine by its life's number.
pub(crate) struct Traits {
    /// Whether rsync copies.
    pub(crate) rsync: bool,
    /// Whether there is a remote with history as well.
    pub(crate) remote: bool,
    /// Whether the program has as many threads as it likes; with one, a strike comes at the same call each time.
    pub(crate) threads: bool,
}

/// The machine.
pub(crate) struct World {
    lab: Lab,
    traits: Traits,
    now: DateTime<Utc>,
    keeps: ((usize, usize, usize), usize),
}

impl Deref for World {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.lab
    }
}

impl World {
    /// A new machine with files and without a backup.
    pub(crate) fn new(program: &Path, below: &Path, traits: Traits, random: &mut Random) -> Self {
        let folder = TempDir::with_prefix_in("dare.", below).unwrap();
        let (daily, weekly, monthly) = KEEP;
        let lab = Lab::new(program, folder, |folder| {
            json!({
                "version": 1,
                "hostname": "host",
                "local": {
                    "enable": true,
                    "mountPoint": folder.join("dst"),
                    "requireMount": false,
                    "useRsync": traits.rsync,
                    "minSpaceGB": 0,
                    "keepLast": LAST,
                    "keepDaily": daily,
                    "keepWeekly": weekly,
                    "keepMonthly": monthly,
                    "sources": [folder.join("src")],
                    "excludePatterns": [],
                },
                "schedule": { "onlyOnAC": false },
                "notifications": { "desktop": false },
            })
        });
        for name in ["src", "dst", "state", "far", "back"] {
            fs::create_dir(lab.path(name)).unwrap();
        }
        crate::edits::furnish(&lab.path("src"), random);
        let mut world = Self {
            lab: lab.in_time_zone("UTC"),
            traits,
            now: "2025-02-01T02:00:00Z".parse().unwrap(),
            keeps: (KEEP, LAST),
        };
        if world.traits.remote {
            world.add_remote();
        }
        world
    }

    fn add_remote(&mut self) {
        let remote = format!("[far]\ntype = alias\nremote = {}\n", self.text("far"));
        self.write("rclone.conf", &remote);
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(self.path("rclone.conf"), mode).unwrap();
        let file = self.text("rclone.conf");
        let options = json!({ "type": "remote", "remote": "far:", "configFile": file });
        self.lab.set("destinations", json!({ "far": options }));
    }

    /// The policy keeps less from now on, all at once.
    pub(crate) fn keep_fewer(&mut self) {
        for key in ["keepLast", "keepDaily", "keepWeekly", "keepMonthly"] {
            self.lab.set(&format!("local.{key}"), 1);
        }
        self.keeps = ((1, 1, 1), 1);
    }

    /// How many days, weeks and months the policy keeps, and how many whatever their day.
    pub(crate) fn keeps(&self) -> ((usize, usize, usize), usize) {
        self.keeps
    }

    /// The machine's folder on the remote, where there is one.
    pub(crate) fn remote(&self) -> Option<PathBuf> {
        let folder = self.path("far/Backups/host");
        (self.traits.remote && folder.is_dir()).then_some(folder)
    }

    /// What is backed up.
    pub(crate) fn source(&self) -> PathBuf {
        self.path("src")
    }

    /// The machine's folder on the destination.
    pub(crate) fn host(&self) -> PathBuf {
        self.stored("")
    }

    /// The time as the program is told it.
    pub(crate) fn now(&self) -> String {
        self.at_hours(0)
    }

    /// The time in some hours.
    pub(crate) fn at_hours(&self, hours: i64) -> String {
        (self.now + TimeDelta::hours(hours)).to_rfc3339()
    }

    /// The day some days before.
    pub(crate) fn days_ago(&self, days: u64) -> NaiveDate {
        self.now.date_naive() - Days::new(days)
    }

    /// Whether a day has not come yet.
    pub(crate) fn is_ahead(&self, day: NaiveDate) -> bool {
        day > self.now.date_naive()
    }

    /// So many days pass.
    pub(crate) fn pass_days(&mut self, days: i64) {
        self.now += TimeDelta::days(days);
    }

    /// Runs the program with this fate.
    pub(crate) fn strike(&self, words: &[&str], fate: Fate) -> Traced {
        self.strike_with(words, fate, &mut || ())
    }

    /// The same, with what happens where the fate is that something does.
    pub(crate) fn strike_with(
        &self,
        words: &[&str],
        fate: Fate,
        event: &mut dyn FnMut(),
    ) -> Traced {
        let mut command = self.lab.command_below("sh", &WRAPPER, words);
        if !self.traits.threads {
            command.env("BACKUP_THREADS", "1");
        }
        let traced = tracer::run(command, words, fate, &self.path(""), event);
        Traced {
            ran: self.in_short(traced.ran),
            ..traced
        }
    }

    /// Runs the program at this time and leaves it alone.
    pub(crate) fn quietly(&self, words: &[&str]) -> Ran {
        self.at(&self.now(), words)
    }
}
