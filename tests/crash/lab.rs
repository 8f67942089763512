//! A source, a destination, a state directory, and the program that works on them.

use std::{
    fs,
    ops::Deref,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;
pub(crate) use test_support::{
    Lab, Mounted, Ran, Random, is_missing, make_ext4, run_command, run_tool,
};

/// The host's folder below the mount point.
pub(crate) const HOST: &str = "host";

/// The times of the snapshots that stand before the run that is tried. With [`World::settings`]
/// that run makes a weekly, moves it, links it and deletes two.
pub(crate) const BEFORE: [&str; 4] = [
    "2025-02-01T02:00:00+00:00",
    "2025-02-02T02:00:00+00:00",
    "2025-02-07T02:00:00+00:00",
    "2025-02-08T02:00:00+00:00",
];
/// The time of the run that is tried.
pub(crate) const NOW: &str = "2025-02-09T02:00:00+00:00";
/// The id of its snapshot.
pub(crate) const ID: &str = "2025-02-09_02-00-00";
/// A little later.
pub(crate) const LATER: &str = "2025-02-09T03:00:00+00:00";

/// A source, a destination, a state directory.
pub(crate) struct World(Lab);

impl World {
    /// An empty one; `changes` are settings below `local`.
    pub(crate) fn new(changes: &Value) -> Self {
        let folder = TempDir::with_prefix("crash.").unwrap();
        let lab = Lab::new(env!("CARGO_BIN_EXE_backup"), folder, |folder| {
            json!({
                "version": 1,
                "hostname": HOST,
                "local": {
                    "enable": true,
                    "mountPoint": folder.join("dst"),
                    "requireMount": false,
                    "useRsync": false,
                    "minSpaceGB": 0,
                    "keepLast": 0,
                    "keepDaily": 2,
                    "keepWeekly": 1,
                    "keepMonthly": 1,
                    "sources": [folder.join("src")],
                    "excludePatterns": [],
                },
                "schedule": { "onlyOnAC": false },
            })
        });
        let mut world = Self(lab.in_time_zone("UTC"));
        for name in ["src", "dst", "state"] {
            fs::create_dir(world.path(name)).unwrap();
        }
        world.configure(changes);
        world
    }

    /// Changes settings below `local`.
    pub(crate) fn configure(&mut self, changes: &Value) {
        for (key, value) in changes.as_object().unwrap() {
            self.set(&format!("local.{key}"), value.clone());
        }
    }

    /// Sets a key such as `destinations.usb`.
    pub(crate) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.0.set(key, value);
    }

    pub(crate) fn source(&self) -> PathBuf {
        self.path("src")
    }

    /// The host's folder on the destination.
    pub(crate) fn host(&self) -> PathBuf {
        self.stored("")
    }

    /// Where the source stands in a snapshot of the host's folder.
    pub(crate) fn in_snapshot(&self, snapshot: &str) -> PathBuf {
        self.inside(snapshot, "src")
    }

    /// `apply` at a time.
    pub(crate) fn apply_command(&self, now: &str) -> Command {
        self.command(&["apply", "--now", now])
    }

    /// Runs `apply` at a time.
    #[track_caller]
    pub(crate) fn apply(&self, now: &str) -> Ran {
        self.at(now, &["apply"])
    }

    /// Says that a suspect snapshot is as it should be.
    pub(crate) fn accept(&self, id: &str) {
        self.run(&["accept", id]).expect(0);
    }

    /// Starts `apply` at a time; what it says is dropped.
    pub(crate) fn start(&self, now: &str) -> Child {
        self.apply_command(now)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Runs `apply` at a time below strace with these options.
    pub(crate) fn traced(&self, now: &str, options: &[&str]) -> Ran {
        self.trace_words(&["apply", "--now", now], options)
    }

    /// Runs the program with these words below strace with these options.
    pub(crate) fn trace_words(&self, words: &[&str], options: &[&str]) -> Ran {
        let trace = self.text("trace");
        let options = [&["-f", "-qq", "-o", trace.as_str()], options].concat();
        let mut command = self.command_below("strace", &options, words);
        // strace counts calls for each thread apart: with one, the nth call is the same one each
        // time. What many threads do is killed at random moments elsewhere.
        command.env("BACKUP_THREADS", "1");
        run_command(command, words)
    }

    /// Kills `apply` in its first sync of the tree that it makes, when all of it is copied. Of the
    /// destination: the sources are synced as well, before they are looked at.
    #[track_caller]
    pub(crate) fn kill_at_sync(&self) {
        // What was written a moment before rsync begins is copied again, for the kernel's stamps may lag.
        std::thread::sleep(std::time::Duration::from_millis(50));
        let tree = self.host().join(".backup/partial").join(ID);
        let options = [
            "-P",
            tree.to_str().unwrap(),
            "-e",
            "trace=syncfs",
            "-e",
            "inject=syncfs:signal=SIGKILL:when=1",
        ];
        assert_eq!(self.traced(NOW, &options).signal, Some(9));
    }

    /// What the last traced run did.
    pub(crate) fn trace(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("trace")).unwrap()).into_owned()
    }

    /// The `plan` that would be made at a time, saved.
    pub(crate) fn saved_plan(&self, now: &str) -> schema::plan::SavedPlan {
        let to = self.text("plan.json");
        self.at(now, &["plan", "--out", &to]).expect(0);
        serde_json::from_slice(&fs::read(to).unwrap()).unwrap()
    }

    /// Keeps destination and state as they are now.
    pub(crate) fn keep(&self) {
        for name in ["dst", "state"] {
            copy(&self.path(name), &self.path(format!("kept.{name}")));
        }
    }

    /// Brings destination and state back to what was kept.
    pub(crate) fn bring_back(&self) {
        for name in ["dst", "state"] {
            let path = self.path(name);
            // There are folders that not even their owner may empty.
            if !nix::unistd::geteuid().is_root() {
                run_tool("chmod", ["-R".as_ref(), "u+rwX".as_ref(), path.as_os_str()]);
            }
            run_tool("rm", ["-rf".as_ref(), path.as_os_str()]);
            copy(&self.path(format!("kept.{name}")), &self.path(name));
        }
    }

    /// Folders of the runs that have a plan, by name.
    pub(crate) fn planned_runs(&self) -> Vec<PathBuf> {
        let Ok(runs) = fs::read_dir(self.path("state/runs")) else {
            return Vec::new();
        };
        let mut runs: Vec<_> = runs
            .map(|run| run.unwrap().path())
            .filter(|run| run.join("plan.json").exists())
            .collect();
        runs.sort();
        runs
    }

    /// The run that was begun and has no report.
    pub(crate) fn unfinished(&self) -> Option<PathBuf> {
        let mut runs = self.planned_runs().into_iter();
        runs.find(|run| !run.join("report.json").exists())
    }
}

impl Deref for World {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.0
    }
}

/// Four snapshots of a source of all kinds that was changed before the last one and since.
pub(crate) fn with_history(with_big_file: bool) -> World {
    let world = World::new(&json!({}));
    let source = world.source();
    crate::tree::make(&source, with_big_file);
    for now in &BEFORE[..3] {
        world.apply(now).expect(0);
    }
    fs::write(source.join("small/3"), "changed once").unwrap();
    world.apply(BEFORE[3]).expect(0);
    crate::tree::change(&source);
    world.keep();
    world
}

/// Copies a tree as it is, hard links included.
pub(crate) fn copy(from: &Path, to: &Path) {
    run_tool(
        "cp",
        [
            "-a".as_ref(),
            "-T".as_ref(),
            from.as_os_str(),
            to.as_os_str(),
        ],
    );
}

/// How many kills are tried; the sweeps go as densely.
pub(crate) fn kills() -> usize {
    std::env::var("KILLS").map_or(24, |text| text.parse().unwrap())
}

/// Whether every point of a sweep is tried.
pub(crate) fn every_point() -> bool {
    kills() >= 200
}
