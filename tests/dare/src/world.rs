//! A machine with sources and a destination, small enough for many lives a minute.

use std::{
    fs,
    ops::Deref,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Days, FixedOffset, NaiveDate, Offset as _, TimeDelta, Utc};
use nix::sys::statvfs::statvfs;
use serde_json::json;
use tempfile::TempDir;
use test_support::{Lab, Mounted, Ran, Random};

use crate::tracer::{self, Fate, Traced, WRAPPER};

/// How many days, weeks and months the policy keeps, and how many whatever their day: few, so that each night
/// lets something go.
const KEEP: (usize, usize, usize) = (3, 2, 1);
/// See [`KEEP`].
const LAST: usize = 2;

/// A drive that two dozen snapshots of other files than before do not fit on.
const SMALL: &str = "size=12m";

/// What is told apart of a machine by its life's number.
#[derive(Clone, Copy)]
pub(crate) struct Traits {
    /// Whether rsync copies.
    pub(crate) rsync: bool,
    /// Whether there is a remote with history as well.
    pub(crate) remote: bool,
    /// Whether the program has as many threads as it likes; with one, a strike comes at the same call each time.
    pub(crate) threads: bool,
    /// Whether the drive is small, so that it can be full.
    pub(crate) small: bool,
}

/// The machine.
pub(crate) struct World {
    // Unmounted before the folder goes in which it is.
    _drive: Option<Mounted>,
    lab: Lab,
    traits: Traits,
    now: DateTime<Utc>,
    keeps: ((usize, usize, usize), usize),
    zone: FixedOffset,
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
        let drive = traits
            .small
            .then(|| Mounted::new(&["-t", "tmpfs", "-o", SMALL, "small"], &lab.path("dst")));
        crate::edits::furnish(&lab.path("src"), random);
        let mut world = Self {
            _drive: drive,
            lab: lab.in_time_zone("UTC"),
            traits,
            now: "2025-02-01T02:00:00Z".parse().unwrap(),
            keeps: (KEEP, LAST),
            zone: Utc.fix(),
        };
        if world.traits.remote {
            world.add_remote();
        }
        world
    }

    /// Another machine at the same drive.
    pub(crate) fn neighbour(&self, random: &mut Random) -> Self {
        let traits = Traits {
            remote: false,
            small: false,
            ..self.traits
        };
        let below = self.lab.path("");
        let mut other = Self::new(self.lab.program(), &below, traits, random);
        other.lab.set("hostname", "neighbour");
        other.lab.set("local.mountPoint", self.text("dst"));
        other
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
        let at = self.now.with_timezone(&self.zone) + TimeDelta::hours(hours);
        at.to_rfc3339()
    }

    /// The day some days before.
    pub(crate) fn days_ago(&self, days: u64) -> NaiveDate {
        self.now.date_naive() - Days::new(days)
    }

    /// Whether a time has not come yet: that of no run of this night, whichever of its attempts it is.
    pub(crate) fn is_ahead(&self, time: DateTime<Utc>) -> bool {
        time > self.now + TimeDelta::hours(12)
    }

    /// Its clock is as another one's.
    pub(crate) fn set_clock_by(&mut self, other: &Self) {
        self.now = other.now;
    }

    /// From now on it is in a zone that is so many minutes before UTC.
    pub(crate) fn move_to_zone(&mut self, minutes: i32) {
        self.zone = FixedOffset::east_opt(minutes * 60).unwrap();
    }

    /// Whether its drive can be full.
    pub(crate) fn is_small(&self) -> bool {
        self.traits.small
    }

    /// How many bytes of the drive are free.
    pub(crate) fn free(&self) -> u64 {
        let of = statvfs(&self.path("dst")).unwrap();
        of.blocks_available() * of.fragment_size()
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
