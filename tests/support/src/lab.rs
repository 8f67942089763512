//! A temporary folder with a configuration, sources and a destination, and the program run in it.
//!
//! Nothing of the machine reaches the program but `PATH`: no environment, no configuration, no
//! state, no time zone.

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{Ran, entry_names, read_json, run_command};

/// The options that say where configuration, state and logs are, and where those of a lab are.
const PLACES: [(&str, &str); 3] = [
    ("--config", "config.json"),
    ("--state-dir", "state"),
    ("--log-dir", "log"),
];

/// A temporary folder with all that a backup needs. It goes when this is dropped.
#[derive(Debug)]
pub struct Lab {
    folder: TempDir,
    program: PathBuf,
    config: Value,
    time_zone: &'static str,
}

impl Lab {
    /// An empty folder of this name's beginning, in the system's folder for such or in another one;
    /// `config` gets its path and gives the configuration, which is written.
    ///
    /// `program` is the built program; only a test's own build knows where that is.
    #[must_use]
    pub fn new(
        program: impl Into<PathBuf>,
        folder: TempDir,
        config: impl FnOnce(&Path) -> Value,
    ) -> Self {
        let lab = Self {
            program: program.into(),
            config: config(folder.path()),
            folder,
            time_zone: "Europe/Berlin",
        };
        lab.save_config();
        lab
    }

    /// The same lab in another time zone.
    #[must_use]
    pub fn in_time_zone(mut self, name: &'static str) -> Self {
        self.time_zone = name;
        self
    }

    /// The program that is run in it.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// A path in the lab.
    #[must_use]
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// The same as text.
    #[must_use]
    pub fn text(&self, relative: &str) -> String {
        self.path(relative).to_str().unwrap().to_owned()
    }

    /// A path in the host's folder on the destination.
    #[must_use]
    pub fn stored(&self, relative: &str) -> PathBuf {
        let text = |value: &Value| PathBuf::from(value.as_str().unwrap());
        text(&self.config["local"]["mountPoint"])
            .join(text(&self.config["hostname"]))
            .join(relative)
    }

    /// Where a path of the lab is in a snapshot's folder, such as `latest`.
    #[must_use]
    pub fn inside(&self, snapshot: &str, relative: impl AsRef<Path>) -> PathBuf {
        let original = self.path(relative);
        self.stored(snapshot)
            .join(original.strip_prefix("/").unwrap())
    }

    /// Writes a file, making the folders above it.
    pub fn write(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes an executable shell script and gives its path.
    pub fn script(&self, relative: &str, body: &str) -> String {
        self.write(relative, &format!("#!/bin/sh\n{body}\n"));
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.path(relative), mode).unwrap();
        self.text(relative)
    }

    /// Sets a key such as `local.keepDaily` and writes the configuration.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        let mut at = &mut self.config;
        for part in key.split('.') {
            at = &mut at[part];
        }
        *at = value.into();
        self.save_config();
    }

    fn save_config(&self) {
        let json = serde_json::to_string_pretty(&self.config).unwrap();
        self.write("config.json", &json);
        // Whatever the mask of whoever runs the tests allows others to write.
        let mode = fs::Permissions::from_mode(0o644);
        fs::set_permissions(self.path("config.json"), mode).unwrap();
    }

    /// A program with nothing but a home in the lab and a path to tools.
    #[must_use]
    pub fn bare(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("user"))
            .env("XDG_CONFIG_HOME", self.path("user/.config"))
            .env("XDG_STATE_HOME", self.path("user/.local/state"))
            .env("XDG_DATA_HOME", self.path("user/.local/share"))
            .env("TZ", self.time_zone)
            .env("NO_COLOR", "1")
            // What tests expect of lines is what a terminal of this width shows.
            .env("BACKUP_COLUMNS", "80")
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// These words for the program, and where configuration, state and logs of the lab are.
    #[must_use]
    pub fn words(&self, words: &[&str]) -> Vec<OsString> {
        let mut all: Vec<OsString> = words.iter().map(OsString::from).collect();
        for (option, name) in PLACES {
            all.push(option.into());
            all.push(self.path(name).into());
        }
        all
    }

    /// The program with the lab's configuration, state and logs.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.bare(&self.program);
        command.args(self.words(arguments));
        command
    }

    /// The same below another program, such as strace, with arguments of its own.
    #[must_use]
    pub fn command_below(&self, wrapper: &str, options: &[&str], arguments: &[&str]) -> Command {
        let mut command = self.bare(wrapper);
        command
            .args(options)
            .arg(&self.program)
            .args(self.words(arguments));
        command
    }

    /// The same with `backup` for how commands in hints call the program with the lab's configuration, state
    /// and logs, which is told by `tests/cli/pasted.rs`.
    #[must_use]
    pub fn in_short(&self, ran: Ran) -> Ran {
        self.in_short_of(&self.program, ran)
    }

    /// The same of another program.
    #[must_use]
    pub fn in_short_of(&self, program: &Path, ran: Ran) -> Ran {
        let word = |path: &Path| schema::shell::word(path.as_os_str().as_encoded_bytes());
        let places = PLACES.map(|(option, name)| format!(" {option} {}", word(&self.path(name))));
        let (places, program) = (places.concat(), word(program));
        let short = |text: &str| {
            let mut text = text.replace(&places, "");
            for before in ["`", "sudo ", "hint: ", "with: "] {
                text = text.replace(&format!("{before}{program} "), &format!("{before}backup "));
            }
            text
        };
        Ran {
            stdout: short(&ran.stdout),
            stderr: short(&ran.stderr),
            ..ran
        }
    }

    /// Runs the program with these arguments.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.in_short(run_command(self.command(arguments), arguments))
    }

    /// Runs the program at this time.
    #[track_caller]
    pub fn at(&self, now: &str, arguments: &[&str]) -> Ran {
        self.run(&[arguments, &["--now", now]].concat())
    }

    /// Makes a backup at this time, which must succeed; gives the report.
    #[track_caller]
    pub fn backup(&self, now: &str) -> Value {
        self.at(now, &["apply", "--json"]).expect(0).json()
    }

    /// The folders of runs, by name.
    #[must_use]
    pub fn runs(&self) -> Vec<String> {
        entry_names(&self.path("state/runs"))
    }

    /// The record of a snapshot.
    #[must_use]
    pub fn record(&self, id: &str) -> Value {
        let path = format!(".backup/snapshots/{id}/snapshot.json");
        read_json(&self.stored(&path))
    }

    /// Ids of all snapshots, each once.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        entry_names(&self.stored(".backup/snapshots"))
    }

    /// What stands in tiers: `daily/ID` alone for a folder, with where it leads for a link.
    #[must_use]
    pub fn tiers(&self) -> Vec<String> {
        let mut all = Vec::new();
        for tier in ["daily", "weekly", "monthly"] {
            for name in entry_names(&self.stored(tier)) {
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
    #[must_use]
    pub fn latest(&self) -> String {
        let target = fs::read_link(self.stored("latest")).unwrap();
        target.to_str().unwrap().to_owned()
    }
}

/// The id of a snapshot that was started at this time.
#[must_use]
pub fn id_of(now: &str) -> String {
    now[..19].replace('T', "_").replace(':', "-")
}
