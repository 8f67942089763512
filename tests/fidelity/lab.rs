//! Sources, a destination, a state directory, and the program that works on them with one engine.

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use schema::record::SnapshotRecord;
use serde_json::json;
use tempfile::TempDir;

/// The host's folder below the mount point.
const HOST: &str = "host";

/// Times of runs, a day apart.
pub(crate) const DAYS: [&str; 3] = [
    "2025-02-01T02:00:00+00:00",
    "2025-02-02T02:00:00+00:00",
    "2025-02-03T02:00:00+00:00",
];

/// What copies the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    BuiltIn,
    Rsync,
}

/// Both engines.
pub(crate) const ENGINES: [Engine; 2] = [Engine::BuiltIn, Engine::Rsync];

/// Sources, a destination, a state directory.
pub(crate) struct World {
    root: PathBuf,
}

impl World {
    /// An empty one with these sources, which are folders of it.
    pub(crate) fn new(engine: Engine, sources: &[&str]) -> Self {
        let world = Self {
            root: TempDir::with_prefix("fidelity.").unwrap().keep(),
        };
        for name in ["dst", "state"].iter().chain(sources) {
            fs::create_dir(world.path(name)).unwrap();
        }
        world.configure(engine, sources);
        world
    }

    /// The same with a destination on a file system of its own; none where it cannot be had.
    pub(crate) fn on(file_system: &str, engine: Engine, sources: &[&str]) -> Option<Self> {
        let world = Self::new(engine, sources);
        let image = world.path("image");
        // As small as XFS can be.
        fs::File::create(&image)
            .unwrap()
            .set_len(400 << 20)
            .unwrap();
        run(
            &format!("mkfs.{file_system}"),
            [OsStr::new("-q"), image.as_os_str()],
        );
        let mounted = Command::new("mount")
            .args(["-o", "loop"])
            .args([&image, &world.path("dst")])
            .output()
            .unwrap();
        mounted.status.success().then_some(world)
    }

    /// Puts source and destination into two folders of the destination's file system; gives the
    /// source and the host's folder.
    pub(crate) fn side_by_side(&self) -> (PathBuf, PathBuf) {
        let (source, to) = (self.path("dst/home"), self.path("dst/to"));
        for folder in [&source, &to] {
            fs::create_dir(folder).unwrap();
        }
        self.write_config(Engine::BuiltIn, &to, std::slice::from_ref(&source));
        (source, to.join(HOST))
    }

    fn configure(&self, engine: Engine, sources: &[&str]) {
        let sources: Vec<_> = sources.iter().map(|name| self.path(name)).collect();
        self.write_config(engine, &self.path("dst"), &sources);
    }

    fn write_config(&self, engine: Engine, mount_point: &Path, sources: &[PathBuf]) {
        let config = json!({
            "version": 1,
            "hostname": HOST,
            "local": {
                "enable": true,
                "mountPoint": mount_point,
                "requireMount": false,
                "useRsync": engine == Engine::Rsync,
                "minSpaceGB": 0,
                "keepDaily": 1000,
                "sources": sources,
                "excludePatterns": [],
            },
            "schedule": { "onlyOnAC": false },
        });
        fs::write(self.path("config.json"), config.to_string()).unwrap();
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.join(name)
    }

    /// The host's folder on the destination.
    pub(crate) fn host(&self) -> PathBuf {
        self.path("dst").join(HOST)
    }

    /// Where a path of this world stands in a snapshot, such as `latest`.
    pub(crate) fn in_snapshot(&self, snapshot: &str, name: impl AsRef<Path>) -> PathBuf {
        let original = self.path(name);
        let below = original.strip_prefix("/").unwrap();
        self.snapshot(snapshot).join(below)
    }

    /// The folder of a snapshot, by its id or `latest`.
    pub(crate) fn snapshot(&self, id: &str) -> PathBuf {
        let all = ["", "monthly", "weekly", "daily"].map(|tier| self.host().join(tier).join(id));
        let found = all.into_iter().find(|path| path.exists());
        found.unwrap_or_else(|| panic!("no snapshot {id}"))
    }

    /// What the program wrote of a snapshot.
    pub(crate) fn record(&self, id: &str) -> SnapshotRecord {
        let path = self.records(id).join("snapshot.json");
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }

    /// The folder of a snapshot's record and manifest.
    pub(crate) fn records(&self, id: &str) -> PathBuf {
        self.host().join(".backup/snapshots").join(id)
    }

    /// The entries of a snapshot's manifest.
    pub(crate) fn manifest(&self, id: &str) -> Vec<executor::manifest::Entry> {
        let path = self.records(id).join(executor::manifest::FILE_NAME);
        let reader = executor::manifest::Reader::new(fs::File::open(path).unwrap()).unwrap();
        reader.map(Result::unwrap).collect()
    }

    /// The program with this world's configuration.
    pub(crate) fn command<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_backup"));
        for (option, name) in [
            ("--config", "config.json"),
            ("--state-dir", "state"),
            ("--log-dir", "log"),
        ] {
            command.arg(option).arg(self.path(name));
        }
        command
            .args(["--color", "never"])
            .args(arguments)
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        command
    }

    /// Makes a snapshot at a time, which must end with this code; gives its id.
    #[track_caller]
    pub(crate) fn apply(&self, now: &str, code: i32) -> String {
        let done = self.command(["apply", "--now", now]).output().unwrap();
        expect(&done, code);
        now[..19].replace('T', "_").replace(':', "-")
    }

    /// Restores a path of this world from the newest snapshot.
    #[track_caller]
    pub(crate) fn restore(&self, name: &str, to: &Path) {
        let arguments: [OsString; 4] = [
            "restore".into(),
            "latest".into(),
            self.path(name).into(),
            to.into(),
        ];
        expect(&self.command(arguments).output().unwrap(), 0);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .args(["-q", "-l"])
            .arg(self.path("dst"))
            .stderr(Stdio::null())
            .status();
        // Neither can be removed by the standard library: what is immutable, and what is deep.
        let attributes = ["-R", "-f", "-i", "-a"].map(OsStr::new);
        for (tool, arguments) in [("chattr", &attributes[..]), ("rm", &["-rf".as_ref()])] {
            let _ = Command::new(tool)
                .args(arguments)
                .arg(&self.root)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
        }
    }
}

/// Ends the test unless a program ended with this code.
#[track_caller]
pub(crate) fn expect(done: &Output, code: i32) {
    assert_eq!(done.status.code(), Some(code), "{}", told(done));
}

/// How a program ended and what it said.
pub(crate) fn told(done: &Output) -> String {
    let text = [&done.stdout[..], &done.stderr[..]].map(String::from_utf8_lossy);
    format!(
        "code {:?}, signal {:?}\n{}",
        done.status.code(),
        done.status.signal(),
        text.join("\n--\n")
    )
}

/// Runs a command; ends the test if it does not end in this time.
#[track_caller]
pub(crate) fn in_time(mut command: Command, limit: Duration, output: &Path) -> Output {
    let file = fs::File::create(output).unwrap();
    let mut child = command
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .spawn()
        .unwrap();
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            let stdout = fs::read(output).unwrap();
            let stderr = Vec::new();
            return Output {
                status,
                stdout,
                stderr,
            };
        }
        if began.elapsed() > limit {
            let _ = child.kill();
            let _ = child.wait();
            let said = fs::read_to_string(output).unwrap_or_default();
            panic!("did not end in {limit:?}: {command:?}\n{said}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs a tool that must succeed; gives what it printed.
#[track_caller]
pub(crate) fn run<S: AsRef<OsStr>>(tool: &str, arguments: impl IntoIterator<Item = S>) -> String {
    let output = Command::new(tool)
        .args(arguments)
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    assert!(output.status.success(), "{tool}: {}", told(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
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
