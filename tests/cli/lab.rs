//! A temporary folder with a configuration, sources and a destination, and the program run in it.
//!
//! Nothing of the machine reaches the program but `PATH`: no environment, no configuration, no
//! state, no time zone.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use self::json_schema::check_output;

#[path = "json_schema.rs"]
pub(crate) mod json_schema;

/// The built program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_backup");

/// The host's folder on the destination.
pub(crate) const HOST: &str = "atlas";

/// Longest wait for something that must happen. Only a broken program reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A temporary folder with all that a backup needs.
pub(crate) struct Lab {
    folder: TempDir,
    config: Value,
}

impl Lab {
    /// A lab with a destination `mnt` and a source `home` that holds a few files.
    pub(crate) fn new() -> Self {
        Self::in_folder(TempDir::with_prefix("backup-cli.").unwrap())
    }

    /// A lab whose path is short and of the same length everywhere, for output whose lines are
    /// broken at a column.
    pub(crate) fn short() -> Self {
        Self::in_folder(TempDir::with_prefix_in("lab.", "/tmp").unwrap())
    }

    fn in_folder(folder: TempDir) -> Self {
        let lab = Self {
            config: json!({
                "version": 1,
                "hostname": HOST,
                "local": {
                    "enable": true,
                    "mountPoint": folder.path().join("mnt"),
                    "requireMount": false,
                    "useRsync": false,
                    "minSpaceGB": 0,
                    "keepLast": 0,
                    "sources": [folder.path().join("home")],
                },
            }),
            folder,
        };
        fs::create_dir(lab.path("mnt")).unwrap();
        lab.write("home/ann/letter.txt", "dear all\n");
        lab.write("home/ann/photo.jpg", &"not really\n".repeat(500));
        lab.write("home/bob/notes/list.md", "- milk\n");
        lab.save();
        lab
    }

    /// A path in the lab.
    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// The same as text.
    pub(crate) fn text(&self, relative: &str) -> String {
        self.path(relative).to_str().unwrap().to_owned()
    }

    /// A path in the host's folder on the destination.
    pub(crate) fn stored(&self, relative: &str) -> PathBuf {
        self.path("mnt").join(HOST).join(relative)
    }

    /// Where a path of the lab is in a snapshot's folder, such as `latest`.
    pub(crate) fn inside(&self, snapshot: &str, relative: &str) -> PathBuf {
        let original = self.path(relative);
        self.stored(snapshot)
            .join(original.strip_prefix("/").unwrap())
    }

    /// Writes a file, making the folders above it.
    pub(crate) fn write(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes an executable shell script and gives its path.
    pub(crate) fn script(&self, relative: &str, body: &str) -> String {
        self.write(relative, &format!("#!/bin/sh\n{body}\n"));
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.path(relative), mode).unwrap();
        self.text(relative)
    }

    /// Sets a key such as `local.keepDaily` and writes the configuration.
    pub(crate) fn set(&mut self, key: &str, value: impl Into<Value>) {
        let mut at = &mut self.config;
        for part in key.split('.') {
            at = &mut at[part];
        }
        *at = value.into();
        self.save();
    }

    fn save(&self) {
        let json = serde_json::to_string_pretty(&self.config).unwrap();
        self.write("config.json", &json);
    }

    /// A program with nothing but a home in the lab and a path to tools.
    pub(crate) fn bare(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("user"))
            .env("XDG_CONFIG_HOME", self.path("user/.config"))
            .env("XDG_STATE_HOME", self.path("user/.local/state"))
            .env("XDG_DATA_HOME", self.path("user/.local/share"))
            .env("TZ", "Europe/Berlin")
            .env("NO_COLOR", "1")
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// The program with the lab's configuration, state and logs.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.bare(PROGRAM);
        command
            .args(arguments)
            .arg("--config")
            .arg(self.path("config.json"))
            .arg("--state-dir")
            .arg(self.path("state"))
            .arg("--log-dir")
            .arg(self.path("log"));
        command
    }

    /// Runs the program with these arguments.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        ran(self.command(arguments), arguments)
    }

    /// Runs the program at this time.
    pub(crate) fn at(&self, now: &str, arguments: &[&str]) -> Ran {
        self.run(&[arguments, &["--now", now]].concat())
    }

    /// Makes a backup at this time, which must succeed; gives the report.
    pub(crate) fn backup(&self, now: &str) -> Value {
        self.at(now, &["apply", "--json"]).expect(0).json()
    }

    /// The folders of runs, by name.
    pub(crate) fn runs(&self) -> Vec<String> {
        names(&self.path("state/runs"))
    }

    /// The record of a snapshot.
    pub(crate) fn record(&self, id: &str) -> Value {
        let path = format!(".backup/snapshots/{id}/snapshot.json");
        read_json(&self.stored(&path))
    }

    /// Ids of all snapshots, each once.
    pub(crate) fn ids(&self) -> Vec<String> {
        names(&self.stored(".backup/snapshots"))
    }

    /// What stands in tiers: `daily/ID` alone for a folder, with where it leads for a link.
    pub(crate) fn tiers(&self) -> Vec<String> {
        let mut all = Vec::new();
        for tier in ["daily", "weekly", "monthly"] {
            for name in names(&self.stored(tier)) {
                let path = self.stored(tier).join(&name);
                all.push(match fs::read_link(&path) {
                    Ok(target) => format!("{tier}/{name} -> {}", target.display()),
                    Err(_) => format!("{tier}/{name}"),
                });
            }
        }
        all
    }

    /// Where `latest` leads.
    pub(crate) fn latest(&self) -> String {
        let target = fs::read_link(self.stored("latest")).unwrap();
        target.to_str().unwrap().to_owned()
    }
}

/// How the program ended.
pub(crate) struct Ran {
    what: String,
    /// The exit code, or 128 and the signal that ended it.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Fails unless the program ended with this code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self}");
        self
    }

    /// Fails unless one of the outputs has this text, however its lines are broken.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        let all = in_one_line(&self.all());
        assert!(all.contains(text), "does not say `{text}`: {self}");
        self
    }

    /// Fails unless a `hint:` with this text is there.
    #[track_caller]
    pub(crate) fn hints(self, text: &str) -> Self {
        let all = self.all();
        let mut hints = all.split("hint: ").skip(1);
        let hint = hints.any(|hint| in_one_line(hint).contains(text));
        assert!(hint, "no hint says `{text}`: {self}");
        self
    }

    /// Fails if a line of standard output has more than eighty columns.
    #[track_caller]
    pub(crate) fn fits(&self) {
        let wide = self.stdout.lines().find(|line| line.chars().count() > 80);
        assert_eq!(wide, None, "{self}");
    }

    /// Both outputs.
    pub(crate) fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Standard output as JSON, which is as its schema says.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let document = serde_json::from_str(&self.stdout);
        let document = document.unwrap_or_else(|error| panic!("{error}: {self}"));
        check_output(&self.what, &document);
        document
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "backup {}\nexit code {}\n--- stdout\n{}--- stderr\n{}---",
            self.what, self.code, self.stdout, self.stderr
        )
    }
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Runs a command to its end.
pub(crate) fn ran(mut command: Command, arguments: &[&str]) -> Ran {
    let child = command.spawn().unwrap();
    ended(child, arguments)
}

/// Waits for a child.
pub(crate) fn ended(child: Child, arguments: &[&str]) -> Ran {
    use std::os::unix::process::ExitStatusExt as _;
    let output = child.wait_with_output().unwrap();
    let signal = output.status.signal();
    Ran {
        what: arguments.join(" "),
        code: output
            .status
            .code()
            .unwrap_or_else(|| 128 + signal.unwrap_or(0)),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The id of a snapshot that was started at this time.
pub(crate) fn id_of(now: &str) -> String {
    now[..19].replace('T', "_").replace(':', "-")
}

/// Sorted names in a folder; none if there is no folder.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Reads a JSON file.
#[track_caller]
pub(crate) fn read_json(path: &Path) -> Value {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The codes of findings, less the one that depends on the file system and on who runs the tests.
pub(crate) fn codes(findings: &Value) -> Vec<&str> {
    let findings = findings.as_array().unwrap().iter();
    findings
        .map(|one| one["code"].as_str().unwrap())
        .filter(|code| *code != "kept-in-manifest-only")
        .collect()
}

/// The step of this name in a report.
#[track_caller]
pub(crate) fn step<'a>(report: &'a Value, name: &str) -> &'a Value {
    let steps = report["steps"].as_array().unwrap().iter();
    let mut found = steps.filter(|step| step["step"] == name);
    &found
        .next()
        .unwrap_or_else(|| panic!("no step {name} in {report:#}"))["outcome"]
}

/// The action of this kind in a plan.
#[track_caller]
pub(crate) fn action<'a>(plan: &'a Value, kind: &str) -> &'a Value {
    let steps = plan["steps"].as_array().unwrap().iter();
    let mut found = steps.filter(|step| step["action"]["kind"] == kind);
    &found
        .next()
        .unwrap_or_else(|| panic!("no action {kind} in {plan:#}"))["action"]
}

/// All that the kernel says of every entry below a folder, less the time of the last reading.
pub(crate) fn everything(folder: &Path) -> BTreeMap<PathBuf, String> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .map(|entry| {
            let entry = entry.unwrap();
            let of = entry.path().symlink_metadata().unwrap();
            let told = format!(
                "inode {} mode {:o} owner {}:{} links {} size {} mtime {}.{:09} ctime {}.{:09}",
                of.ino(),
                of.mode(),
                of.uid(),
                of.gid(),
                of.nlink(),
                of.size(),
                of.mtime(),
                of.mtime_nsec(),
                of.ctime(),
                of.ctime_nsec()
            );
            (entry.path().to_owned(), told)
        })
        .collect()
}

/// Path, kind and content of every entry below a folder, relative to it.
pub(crate) fn contents(folder: &Path) -> BTreeMap<PathBuf, String> {
    walkdir::WalkDir::new(folder)
        .min_depth(1)
        .into_iter()
        .map(|entry| {
            let entry = entry.unwrap();
            let path = entry.path();
            let of = path.symlink_metadata().unwrap();
            let what = if of.is_dir() {
                "folder".to_owned()
            } else if of.is_symlink() {
                format!("link to {}", fs::read_link(path).unwrap().display())
            } else {
                let content = fs::read(path).unwrap();
                format!("file {}", String::from_utf8_lossy(&content))
            };
            let times = if of.is_dir() { 0 } else { of.mtime() };
            let told = format!("{:o} {times} {what}", of.mode());
            (path.strip_prefix(folder).unwrap().to_owned(), told)
        })
        .collect()
}

/// Whether a tool is installed.
pub(crate) fn in_path(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).exists())
}

/// Whether strace is there and may trace.
pub(crate) fn can_trace() -> bool {
    let mut strace = Command::new("strace");
    strace
        .args(["-qq", "-o", "/dev/null", "true"])
        .stderr(Stdio::null());
    strace.status().is_ok_and(|status| status.success())
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a process runs; one that ended and was not yet waited for does not.
pub(crate) fn is_alive(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let state = stat.rsplit(')').next().unwrap().trim_start();
    !state.starts_with(['Z', 'X'])
}

/// Says loudly that a test could not be tried here; where that must not be, fails.
#[track_caller]
pub(crate) fn skipped(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "cannot be skipped: {why}");
    eprintln!("SKIPPED: {why}");
}
