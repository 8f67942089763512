//! A source, a destination, a state directory, and the program that works on them.

use std::{
    ffi::OsStr,
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

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

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    /// Both outputs.
    pub(crate) text: String,
}

impl Done {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            signal: output.status.signal(),
            text: [&output.stdout[..], &output.stderr[..]]
                .map(String::from_utf8_lossy)
                .join("\n--\n"),
        }
    }

    /// Ends the test unless the run ended with this code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "signal {:?}:\n{}",
            self.signal,
            self.text
        );
        self
    }

    /// Ends the test unless the run said this.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        // Lines are broken where they are long, which depends on where the test's folder is.
        let folded: Vec<&str> = self.text.split_whitespace().collect();
        let said = self.text.contains(text) || folded.join(" ").contains(text);
        assert!(said, "no `{text}` in:\n{}", self.text);
        self
    }
}

/// A source, a destination, a state directory.
pub(crate) struct World {
    pub(crate) root: TempDir,
    local: Value,
}

impl World {
    /// An empty one; `changes` are settings below `local`.
    pub(crate) fn new(changes: &Value) -> Self {
        let root = tempfile::Builder::new().prefix("crash.").tempdir().unwrap();
        let mut world = Self {
            root,
            local: Value::Null,
        };
        for name in ["src", "dst", "state"] {
            fs::create_dir(world.path(name)).unwrap();
        }
        world.local = json!({
            "enable": true,
            "mountPoint": world.path("dst"),
            "requireMount": false,
            "useRsync": false,
            "minSpaceGB": 0,
            "keepLast": 0,
            "keepDaily": 2,
            "keepWeekly": 1,
            "keepMonthly": 1,
            "sources": [world.path("src")],
            "excludePatterns": [],
        });
        world.configure(changes);
        world
    }

    /// Changes settings below `local`.
    pub(crate) fn configure(&mut self, changes: &Value) {
        let local = self.local.as_object_mut().unwrap();
        for (key, value) in changes.as_object().unwrap() {
            local.insert(key.clone(), value.clone());
        }
        let config = json!({
            "version": 1,
            "hostname": HOST,
            "local": self.local,
            "schedule": { "onlyOnAC": false },
        });
        fs::write(self.path("config.json"), config.to_string()).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn source(&self) -> PathBuf {
        self.path("src")
    }

    /// The host's folder on the destination.
    pub(crate) fn host(&self) -> PathBuf {
        self.path("dst").join(HOST)
    }

    /// Where the source stands in a snapshot of the host's folder.
    pub(crate) fn in_snapshot(&self, snapshot: &str) -> PathBuf {
        let source = self.source();
        let below = source.strip_prefix("/").unwrap();
        self.host().join(snapshot).join(below)
    }

    /// The arguments of the program for `apply` at a time.
    fn arguments(&self, now: &str) -> Vec<std::ffi::OsString> {
        let mut all: Vec<std::ffi::OsString> = Vec::new();
        for (option, name) in [
            ("--config", "config.json"),
            ("--state-dir", "state"),
            ("--log-dir", "log"),
        ] {
            all.push(option.into());
            all.push(self.path(name).into());
        }
        all.extend(["--color", "never", "apply", "--now", now].map(Into::into));
        all
    }

    /// `apply` at a time.
    pub(crate) fn apply_command(&self, now: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_backup"));
        command.args(self.arguments(now)).stdin(Stdio::null());
        command
    }

    /// Runs `apply` at a time.
    pub(crate) fn apply(&self, now: &str) -> Done {
        Done::of(&self.apply_command(now).output().unwrap())
    }

    /// Says that a suspect snapshot is as it should be.
    pub(crate) fn accept(&self, id: &str) {
        Done::of(&self.command(&["accept", id]).output().unwrap()).expect(0);
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
    pub(crate) fn traced(&self, now: &str, options: &[&str]) -> Done {
        let mut command = Command::new("strace");
        command
            // strace counts calls for each thread apart: with one, the nth call is the same one each
            // time. What many threads do is killed at random moments elsewhere.
            .env("BACKUP_THREADS", "1")
            .args(["-f", "-qq", "-o"])
            .arg(self.path("trace"))
            .args(options)
            .arg(env!("CARGO_BIN_EXE_backup"))
            .args(self.arguments(now))
            .stdin(Stdio::null());
        Done::of(&command.output().unwrap())
    }

    /// What the last traced run did.
    pub(crate) fn trace(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("trace")).unwrap()).into_owned()
    }

    /// The program with other words than `apply`.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut arguments = self.arguments(NOW);
        let at = arguments.iter().position(|word| word == "apply").unwrap();
        arguments.truncate(at);
        arguments.extend(words.iter().map(Into::into));
        let mut command = Command::new(env!("CARGO_BIN_EXE_backup"));
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// The `plan` that would be made at a time, saved.
    pub(crate) fn saved_plan(&self, now: &str) -> schema::plan::SavedPlan {
        let to = self.path("plan.json");
        let mut arguments = self.arguments(now);
        let at = arguments.iter().position(|word| word == "apply").unwrap();
        arguments[at] = "plan".into();
        arguments.extend(["--out".into(), to.clone().into()]);
        let output = Command::new(env!("CARGO_BIN_EXE_backup"))
            .args(arguments)
            .output()
            .unwrap();
        Done::of(&output).expect(0);
        serde_json::from_slice(&fs::read(to).unwrap()).unwrap()
    }

    /// Keeps destination and state as they are now.
    pub(crate) fn keep(&self) {
        for name in ["dst", "state"] {
            copy(&self.path(name), &self.path(&format!("kept.{name}")));
        }
    }

    /// Brings destination and state back to what was kept.
    pub(crate) fn bring_back(&self) {
        for name in ["dst", "state"] {
            let path = self.path(name);
            // There are folders that not even their owner may empty.
            if !nix::unistd::geteuid().is_root() {
                run("chmod", ["-R".as_ref(), "u+rwX".as_ref(), path.as_os_str()]);
            }
            run("rm", ["-rf".as_ref(), path.as_os_str()]);
            copy(&self.path(&format!("kept.{name}")), &self.path(name));
        }
    }

    /// Folders of the runs that have a plan, by name.
    pub(crate) fn runs(&self) -> Vec<PathBuf> {
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
        let mut runs = self.runs().into_iter();
        runs.find(|run| !run.join("report.json").exists())
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
    run(
        "cp",
        [
            "-a".as_ref(),
            "-T".as_ref(),
            from.as_os_str(),
            to.as_os_str(),
        ],
    );
}

/// Runs a tool that must succeed; gives what it printed.
#[track_caller]
pub(crate) fn run<S: AsRef<OsStr>>(tool: &str, arguments: impl IntoIterator<Item = S>) -> String {
    let output = Command::new(tool)
        .args(arguments)
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let done = Done::of(&output);
    assert_eq!(done.code, Some(0), "{tool}: {}", done.text);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// How many kills are tried; the sweeps go as densely.
pub(crate) fn kills() -> usize {
    std::env::var("KILLS").map_or(40, |text| text.parse().unwrap())
}

/// Whether every point of a sweep is tried.
pub(crate) fn every_point() -> bool {
    kills() >= 200
}

/// Says that a test cannot run here, unless what it needs is there.
#[track_caller]
pub(crate) fn skipped(test: &str, tools: &[&str], as_root: bool) -> bool {
    let mut because = Vec::new();
    if as_root && !nix::unistd::geteuid().is_root() {
        because.push("this is not root".to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    for tool in tools {
        if !std::env::split_paths(&path).any(|folder| folder.join(tool).exists()) {
            because.push(format!("{tool} is not installed"));
        }
    }
    if because.is_empty() && tools.contains(&"strace") && !can_trace() {
        because.push("strace may not trace here".to_owned());
    }
    if because.is_empty() && tools.contains(&"mkfs.ext4") {
        because.extend(crate::image::cannot_mount());
    }
    if because.is_empty() {
        return false;
    }
    let because = because.join(", ");
    assert!(
        std::env::var_os("CI").is_none(),
        "{test} cannot run because {because}"
    );
    eprintln!("SKIPPED: {test} because {because}");
    true
}

fn can_trace() -> bool {
    let tried = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "true"])
        .stderr(Stdio::null())
        .status();
    tried.is_ok_and(|status| status.success())
}

/// Random numbers that can be had again (xorshift64*).
pub(crate) struct Random(u64);

impl Random {
    /// From the environment's `SEED`, or always the same.
    pub(crate) fn new(default: u64) -> Self {
        let seed = std::env::var("SEED").map_or(default, |text| text.parse().unwrap());
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
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }
}
