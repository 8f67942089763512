//! Calling rclone: its environment, its output, its end.
//!
//! Owns what an end means. An exit code that is not known to be good is a failure: codes 1 and 2
//! changed their places between 1.68 and 1.73 (<https://rclone.org/docs/#exit-code>). Secrets stay
//! in rclone's own configuration; what rclone says is freed of passwords in addresses.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    process::{Child, ChildStderr, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::{Duration, Instant},
};

use schema::{cloud::RcloneFound, config::AbsolutePath};
use serde::Deserialize;

use crate::{
    error::{Error, ErrorKind, Result, reason},
    event::{Context, Event, Phase, Progress},
    steps::child::{end_group, how},
    sys::{Kind, resolve::resolve, tie},
};

use super::silence::Watch;

/// How often the time and the request to stop are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Waits between the attempts of a call that found no connection.
const BACKOFF: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

/// What rclone says when it did not come through to the remote, or was not let in.
const NO_CONNECTION: [&str; 24] = [
    "dial tcp",
    "no such host",
    "connection refused",
    "connection reset",
    "broken pipe",
    "network is unreachable",
    "no route to host",
    "i/o timeout",
    "tls: ",
    "x509: ",
    CUT,
    "use of closed network connection",
    "connection lost",
    "context deadline exceeded",
    "request send failed",
    "401 Unauthorized",
    "403 Forbidden",
    "502 Bad Gateway",
    "503 Service Unavailable",
    "504 Gateway",
    "didn't find section in config file",
    "couldn't connect",
    "unable to authenticate",
    "couldn't fetch token",
];

/// What of this older versions say of a single file as well, whose content is cut or rotten (1.60.1, of
/// a file of a crypt remote).
const CUT: &str = "unexpected EOF";

/// A line of `--use-json-log`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Line {
    level: String,
    msg: String,
    object: String,
    stats: Option<Stats>,
}

/// Where the transfers are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Stats {
    bytes: u64,
    total_bytes: u64,
    transfers: u64,
    total_transfers: u64,
    checks: u64,
    deletes: u64,
    renames: u64,
}

/// How rclone is called for one remote.
pub struct Rclone<'a> {
    /// The program.
    pub program: &'a str,
    /// Options of every call.
    pub options: &'a [String],
    /// The step's name, for events.
    pub step: &'a str,
    /// When the time is over, with its length as people wrote it.
    pub until: Option<(Instant, String)>,
    /// How long the remote may be silent before a call is ended.
    pub silence: Duration,
    /// Whom to tell, and when to stop.
    pub context: Context<'a>,
}

/// What a call said of single files.
#[derive(Debug, Default)]
pub struct Told {
    /// What it said, for a call of which nobody is told unless it fails.
    held: Option<Vec<String>>,
    /// Files that could not be dealt with, each with the last reason.
    pub faults: std::collections::BTreeMap<String, String>,
}

impl Told {
    /// For a call that may fail without anybody being told.
    #[must_use]
    pub fn quiet() -> Self {
        Self {
            held: Some(Vec::new()),
            ..Self::default()
        }
    }

    /// Whether what sounds like a lost connection was said of single files alone, and may be due to
    /// what they hold.
    #[must_use]
    pub fn is_of_files(&self) -> bool {
        let lost = |said: &&String| NO_CONNECTION.iter().any(|sign| said.contains(sign));
        let mut lost = self.faults.values().filter(lost).peekable();
        lost.peek().is_some() && lost.all(|said| said.contains(CUT))
    }
}

/// How a call ended.
#[derive(Debug)]
pub enum Ended {
    /// With exit code 0.
    Well,
    /// A folder or file that it was to read is not there (exit codes 3 and 4).
    NotThere,
    /// In any other way.
    Badly {
        /// Whether the remote was not reached.
        connection: bool,
        /// What happened, as a sentence about rclone.
        message: String,
    },
}

impl Rclone<'_> {
    /// Calls rclone; `copied` sees each file that was transferred and checked, or moved there.
    ///
    /// # Errors
    /// An interruption, the end of the time, or a program that cannot be run.
    pub fn call(
        &self,
        arguments: &[&str],
        output: Option<File>,
        told: &mut Told,
        copied: &mut dyn FnMut(&str) -> Result<()>,
    ) -> Result<Ended> {
        let mut command = Command::new(self.program);
        environment(&mut command);
        command
            .args(arguments)
            .args(self.options)
            .args(["--use-json-log", "--log-level", "INFO"])
            .args(["--stats", "1s", "--stats-log-level", "NOTICE"])
            .args(["--ask-password=false", "--no-unicode-normalization"])
            .args(["--contimeout", "30s", "--low-level-retries", "3"])
            // What can be done again is tried again by us, which an interruption can end.
            .args(["--retries", if told.held.is_some() { "1" } else { "3" }])
            .args(["--retries-sleep", "2s"])
            // Longer than any silence that is borne here: what rclone begins anew would hide it.
            .args(["--timeout", "6m"])
            // A remote may be a folder named relative to where rclone runs: never in a snapshot.
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(output.map_or_else(Stdio::null, Stdio::from))
            .stderr(Stdio::piped())
            .process_group(0);
        // One that outlived us would write where the next attempt writes.
        tie::to_parent(&mut command);
        let mut child = command.spawn().map_err(|error| {
            Error::failed(format!(
                "cloud copy failed: {} cannot be run: {}",
                self.program,
                reason(&error)
            ))
            .hint("install rclone and make sure that it is on the PATH")
        })?;
        let Some(stderr) = child.stderr.take() else {
            end_group(&mut child);
            return Err(Error::failed("rclone has no output"));
        };
        let result = self.watch(&mut child, stderr, told, copied);
        if result.is_err() {
            end_group(&mut child);
        }
        result
    }

    fn watch(
        &self,
        child: &mut Child,
        stderr: ChildStderr,
        told: &mut Told,
        copied: &mut dyn FnMut(&str) -> Result<()>,
    ) -> Result<Ended> {
        let lines = lines(stderr)?;
        let mut last = String::new();
        let mut connection = false;
        let mut before = Stats::default();
        // Whether it got on since the last line.
        let mut hear = |text: String| -> Result<bool> {
            let line = heard(&text);
            if let Some(stats) = line.stats {
                let stirs = stats != before;
                before = stats;
                self.context.observer.event(Event::Progress(Progress {
                    phase: Phase::Cloud,
                    entries: stats.transfers,
                    entries_total: stats.total_transfers,
                    bytes: stats.bytes,
                    bytes_total: stats.total_bytes,
                }));
                return Ok(stirs);
            }
            if line.msg.contains("Copied (")
                || line.msg.starts_with("Copied ")
                || line.msg.starts_with("Moved ")
            {
                return copied(&line.object).map(|()| true);
            }
            let said = without_passwords(line.msg.trim());
            let bad = matches!(
                line.level.as_str(),
                "" | "error" | "critical" | "fatal" | "emergency" | "alert"
            ) || said.starts_with("Failed to ");
            if bad && !said.is_empty() {
                connection |= NO_CONNECTION.iter().any(|sign| said.contains(sign));
                if !line.object.is_empty() {
                    told.faults.insert(line.object, said.clone());
                }
                match &mut told.held {
                    Some(held) => held.push(said.clone()),
                    None => self.tell(&said),
                }
                last = said;
            }
            Ok(false)
        };
        let mut watch = Watch::new(self.silence);
        let status = loop {
            match lines.recv_timeout(LOOK) {
                Ok(line) => {
                    let mut stirs = hear(line)?;
                    // A talkative rclone must not keep us from looking at the time.
                    while let Ok(line) = lines.try_recv() {
                        stirs |= hear(line)?;
                    }
                    if stirs {
                        watch.stir();
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(LOOK),
            }
            let status = child
                .try_wait()
                .map_err(|error| Error::io("wait for", self.program.as_bytes(), error))?;
            if let Some(status) = status {
                break status;
            }
            self.context.stop.check()?;
            self.in_time()?;
            if watch.is_over(child.id()) {
                end_group(child);
                return Ok(Ended::Badly {
                    connection: true,
                    message: format!(
                        "{}: the remote did not answer for {} s",
                        self.program,
                        self.silence.as_secs()
                    ),
                });
            }
        };
        while let Ok(line) = lines.recv_timeout(LOOK) {
            hear(line)?;
        }
        Ok(match status.code() {
            Some(0) => Ended::Well,
            Some(3 | 4) => Ended::NotThere,
            _ => Ended::Badly {
                connection,
                message: format!("{} {}: {last}", self.program, how(status)),
            },
        })
    }

    fn in_time(&self) -> Result<()> {
        match &self.until {
            Some((until, span)) if Instant::now() >= *until => Err(Error::failed(format!(
                "cloud copy failed: {} did not end within {span} (cloud.timeout)",
                self.program
            ))
            .hint("raise cloud.timeout; the next run goes on with what is not uploaded yet")),
            _ => Ok(()),
        }
    }

    /// Calls rclone for something that can be done again, and waits a little where there is no
    /// connection; any end but a good one is an error, but `NotThere` if that is `expected`.
    ///
    /// # Errors
    /// As [`Self::call`], or that it failed.
    pub fn must(
        &self,
        arguments: &[&str],
        output: &dyn Fn() -> Result<Option<File>>,
    ) -> Result<bool> {
        let mut waits = BACKOFF.iter();
        loop {
            // That nothing is there yet is no news, and rclone's words for it are alarming.
            let mut told = Told::quiet();
            let ended = self.call(arguments, output()?, &mut told, &mut |_| Ok(()))?;
            if matches!(ended, Ended::Badly { .. }) {
                let held = told.held.into_iter().flatten();
                held.for_each(|line| self.tell(&line));
            }
            let failure = match ended {
                Ended::Well => return Ok(true),
                Ended::NotThere => return Ok(false),
                Ended::Badly {
                    connection,
                    message,
                } => (connection, message),
            };
            match waits.next().filter(|_| failure.0) {
                Some(wait) => self.wait(*wait)?,
                None => return Err(self.failed(failure.0, &failure.1)),
            }
        }
    }

    fn tell(&self, line: &str) {
        let step = self.step;
        self.context
            .observer
            .event(Event::ScriptLine { step, line });
    }

    fn wait(&self, span: Duration) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < span {
            self.context.stop.check()?;
            self.in_time()?;
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// The error of a call that ended badly.
    #[must_use]
    pub fn failed(&self, connection: bool, message: &str) -> Error {
        let what = if connection {
            "connection failed"
        } else {
            "cloud copy failed"
        };
        Error::failed(format!("{what}: {message}"))
    }
}

/// The same failure with what to try by hand, unless it says so already.
#[must_use]
pub fn hinted(error: Error, program: &str, config: Option<&AbsolutePath>, remote: &str) -> Error {
    if error.kind != ErrorKind::Failed {
        return error;
    }
    let config = config.map(|file| format!(" --config={file}"));
    let name = remote.split(':').next().unwrap_or_default();
    error.hint(format!(
        "try by hand: {program}{} lsd {name}:",
        config.unwrap_or_default()
    ))
}

/// What rclone finds in its environment: its own variables set options, so that they could make a
/// dry run of an upload; only those that say where its configuration is stay.
fn environment(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let configures = text.starts_with("RCLONE_CONFIG") || text == "RCLONE_PASSWORD_COMMAND";
        if text.starts_with("RCLONE_") && !configures {
            command.env_remove(&name);
        }
    }
}

/// The lines of rclone's standard error.
fn lines(stderr: ChildStderr) -> Result<Receiver<String>> {
    let (sender, receiver) = channel();
    crate::threads::start("rclone-output", move || {
        let mut stderr = BufReader::new(stderr);
        let mut line = Vec::new();
        while stderr
            .read_until(b'\n', &mut line)
            .is_ok_and(|read| read > 0)
        {
            let text = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
            line.clear();
            if sender.send(text).is_err() {
                break;
            }
        }
    })?;
    Ok(receiver)
}

/// A line as rclone meant it. Before its log is set up it writes plain text, with the time first.
fn heard(text: &str) -> Line {
    serde_json::from_str(text).unwrap_or_else(|_| {
        let is_time = |c: char| c.is_ascii_digit() || matches!(c, '/' | ':' | ' ' | '.');
        let msg = text.trim_start_matches(is_time).to_owned();
        let quiet = msg.starts_with("NOTICE:") || msg.starts_with("INFO");
        Line {
            level: if quiet { "notice" } else { "" }.to_owned(),
            msg,
            ..Line::default()
        }
    })
}

/// A text without what stands before the `@` of an address.
fn without_passwords(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("//") {
        let (before, after) = rest.split_at(at + 2);
        out.push_str(before);
        let end = after
            .find(|c: char| c == '/' || c == '"' || c.is_whitespace())
            .unwrap_or(after.len());
        rest = after[..end]
            .rfind('@')
            .map_or(after, |secret| &after[secret + 1..]);
        if rest.len() != after.len() {
            out.push_str("***@");
        }
    }
    out.push_str(rest);
    schema::escape::display(out.as_bytes())
}

/// Asks rclone for its version.
#[must_use]
pub fn found(program: &str) -> RcloneFound {
    let not = |fault: String| RcloneFound {
        version: None,
        fault: Some(fault),
    };
    let mut command = Command::new(program);
    environment(&mut command);
    let output = command
        .arg("version")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return not("there is no rclone on the PATH".to_owned());
        }
        Err(error) => return not(format!("it cannot be run: {}", reason(&error))),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next().unwrap_or_default();
    match line.strip_prefix("rclone v") {
        Some(version) if version.starts_with(|c: char| c.is_ascii_digit()) => RcloneFound {
            version: Some(version.trim().to_owned()),
            fault: None,
        },
        _ => not(format!(
            "`rclone version` tells no version: {}",
            schema::escape::display(line.as_bytes())
        )),
    }
}

/// Whether rclone's configuration has a remote; none where that cannot be told: it is encrypted, or
/// the remote needs no name there.
#[must_use]
pub fn has_remote(program: &str, config: Option<&AbsolutePath>, remote: &str) -> Option<bool> {
    let (name, _) = remote.split_once(':')?;
    // A remote that is described where it is named begins with a colon, and options follow a comma.
    let name = name.split(',').next().unwrap_or_default();
    if name.is_empty() || name.contains('/') {
        return None;
    }
    // What the environment defines is not listed by all versions.
    let variable: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect();
    if std::env::var_os(format!("RCLONE_CONFIG_{variable}_TYPE")).is_some() {
        return Some(true);
    }
    let mut command = Command::new(program);
    environment(&mut command);
    command.args(["listremotes", "--ask-password=false"]);
    if let Some(file) = config {
        check_config(file).ok()?;
        command.arg(format!("--config={file}"));
    }
    let output = command
        .current_dir("/")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then_some(())?;
    let text = String::from_utf8_lossy(&output.stdout);
    Some(
        text.lines()
            .any(|line| line.trim().strip_suffix(':') == Some(name)),
    )
}

/// Why a configuration that holds credentials is not used.
///
/// # Errors
/// A failure that says why.
pub fn check_config(file: &AbsolutePath) -> Result<()> {
    match resolve(file.as_path()) {
        Ok(found) if found.stat.kind != Kind::File => Err(Error::failed(format!(
            "{file} (cloud.configFile) is not a file"
        ))
        .hint("name rclone's configuration: rclone config file")),
        Ok(found) if found.stat.mode & 0o077 != 0 => Err(Error::failed(format!(
            "{file} (cloud.configFile) can be read by others, and it holds credentials"
        ))
        .hint(format!("chmod 600 {file}"))),
        Ok(_) => Ok(()),
        Err(error) => Err(Error::failed(format!(
            "{file} (cloud.configFile) cannot be read: {}",
            reason(&error.into())
        ))
        .hint("name rclone's configuration: rclone config file")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_addresses_are_not_told() {
        assert_eq!(
            without_passwords("Get \"https://ann:s3c@ret@host/x\": dial tcp"),
            "Get \"https://***@host/x\": dial tcp"
        );
        assert_eq!(without_passwords("a // b@c"), "a // b@c");
        assert_eq!(without_passwords("http://host/a@b"), "http://host/a@b");
    }

    #[test]
    fn a_line_is_json_or_plain_text_with_a_time() {
        let json = heard(r#"{"level":"info","msg":"Copied (new)","object":"a/b"}"#);
        assert_eq!(
            (json.msg.as_str(), json.object.as_str()),
            ("Copied (new)", "a/b")
        );
        let plain = heard("2026/11/25 11:19:33 Failed to create file system for \"x:\"");
        assert_eq!(plain.msg, "Failed to create file system for \"x:\"");
        assert_eq!(heard("2026/11/25 11:08:46 NOTICE: Config").level, "notice");
    }

    #[test]
    fn what_is_cut_is_of_a_file_and_what_is_forbidden_is_not() {
        let told = |faults: &[(&str, &str)]| {
            let faults = faults.iter();
            Told {
                faults: faults
                    .map(|(file, said)| ((*file).to_owned(), (*said).to_owned()))
                    .collect(),
                ..Told::default()
            }
        };
        let cut = ("a", "Failed to copy: unexpected EOF");
        let forbidden = ("b", "Failed to copy: 403 Forbidden: the quota is used up");
        let other = ("c", "Failed to copy: corrupted on transfer");
        assert!(told(&[cut]).is_of_files());
        assert!(told(&[cut, other]).is_of_files());
        assert!(!told(&[cut, forbidden]).is_of_files());
        assert!(!told(&[forbidden]).is_of_files());
        assert!(!told(&[other]).is_of_files());
        assert!(!told(&[]).is_of_files());
    }
}
