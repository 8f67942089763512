//! Reads what rclone says while it works: the lines of its log, and what each means.
//!
//! What rclone says is freed of what is secret before anybody hears of it.

use std::collections::BTreeMap;

use schema::{Digest, StoredPath};
use serde::Deserialize;

use super::credentials::Credentials;
use crate::{
    error::Result,
    event::{Context, Event, Phase, Progress},
    process::{Listener, OutputLine},
};

/// What rclone says when it did not come through to the remote, or was not let in.
const NO_CONNECTION: [&str; 26] = [
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
    // What is said of an address that broke off before it answered.
    "\": EOF",
    "handshake failed: EOF",
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

/// What is said of a file whose content is not what it was.
const ROTTEN: [&str; 5] = [
    "corrupted on transfer",
    // Of a crypt remote (`backend/crypt/cipher.go`); a wrong password sounds the same, for every file.
    "failed to authenticate decrypted block",
    "not an encrypted file",
    "file is too short to be encrypted",
    "file has truncated block header",
];

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
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Stats {
    bytes: u64,
    total_bytes: u64,
    transfers: u64,
    total_transfers: u64,
    checks: u64,
    deletes: u64,
    renames: u64,
    transferring: Vec<Transfer>,
}

/// A file on its way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Transfer {
    name: String,
}

impl Stats {
    /// A file on its way whose name says what it is: that of an object is its digest.
    fn at_hand(&self) -> Option<&str> {
        let names = self.transferring.iter().map(|one| one.name.as_str());
        names.filter(|name| !name.is_empty()).find(|name| {
            let last = name.rsplit('/').next().unwrap_or_default();
            last.parse::<Digest>().is_err()
        })
    }
}

/// What a call said of single files.
#[derive(Debug, Default)]
pub struct FileFaults {
    /// What it said, for a call of which nobody is told unless it fails.
    pub(super) held: Option<Vec<String>>,
    /// Files that could not be dealt with, each with the last reason.
    pub faults: BTreeMap<String, String>,
}

impl FileFaults {
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

impl FileFaults {
    /// Whether all that was said is that single files there do not hold what they should.
    #[must_use]
    pub fn is_of_content(&self) -> bool {
        let is_rotten =
            |said: &String| said.contains(CUT) || ROTTEN.iter().any(|sign| said.contains(sign));
        !self.faults.is_empty() && self.faults.values().all(is_rotten)
    }
}

/// Takes the lines of one call.
pub(super) struct Log<'a> {
    step: &'a str,
    context: Context<'a>,
    credentials: &'a Credentials,
    told: &'a mut FileFaults,
    copied: &'a mut dyn FnMut(&str) -> Result<()>,
    before: Stats,
    /// The last complaint.
    pub(super) last: String,
    /// Whether one of them was of the connection.
    pub(super) connection: bool,
}

impl<'a> Log<'a> {
    /// Tells of what is said, and keeps what was said of single files.
    pub(super) fn new(
        (step, context): (&'a str, Context<'a>),
        credentials: &'a Credentials,
        told: &'a mut FileFaults,
        copied: &'a mut dyn FnMut(&str) -> Result<()>,
    ) -> Self {
        Self {
            step,
            context,
            credentials,
            told,
            copied,
            before: Stats::default(),
            last: String::new(),
            connection: false,
        }
    }

    /// Tells how far the transfers are; gives whether they got on.
    fn progress(&mut self, stats: Stats) -> bool {
        let gets_on = stats != self.before;
        if let Some(name) = stats.at_hand() {
            self.context.observer.at_hand(StoredPath::new(name));
        }
        self.context.observer.event(Event::Progress(Progress {
            phase: Phase::Cloud,
            entries: stats.transfers,
            entries_total: stats.total_transfers,
            bytes: stats.bytes,
            bytes_total: stats.total_bytes,
        }));
        self.before = stats;
        gets_on
    }

    fn complaint(&mut self, object: String, said: String) {
        self.connection |= NO_CONNECTION.iter().any(|sign| said.contains(sign));
        if !object.is_empty() {
            self.told.faults.insert(object, said.clone());
        }
        match &mut self.told.held {
            Some(held) => held.push(said.clone()),
            None => self.context.observer.event(Event::ScriptLine {
                step: self.step,
                line: &said,
            }),
        }
        self.last = said;
    }
}

impl Listener for Log<'_> {
    fn line(&mut self, line: OutputLine) -> Result<bool> {
        let text = String::from_utf8_lossy(line.bytes.trim_ascii_end());
        let line = parse_line(&text);
        if let Some(stats) = line.stats {
            return Ok(self.progress(stats));
        }
        if line.msg.contains("Copied (")
            || line.msg.starts_with("Copied ")
            || line.msg.starts_with("Moved ")
        {
            return (self.copied)(&line.object).map(|()| true);
        }
        let is_bad = matches!(
            line.level.as_str(),
            "" | "error" | "critical" | "fatal" | "emergency" | "alert"
        ) || line.msg.trim_start().starts_with("Failed to ");
        if is_bad && !line.msg.trim().is_empty() {
            let said = self.credentials.conceal(line.msg.trim());
            self.complaint(named(&line).to_owned(), said);
        }
        Ok(false)
    }
}

/// The file that a line is about. Where a transfer came through and could not get its name, versions since 1.63
/// name what it was called meanwhile (<https://rclone.org/docs/#partial-suffix-string>).
fn named(line: &Line) -> &str {
    if !line.msg.starts_with("partial file rename failed") {
        return &line.object;
    }
    let begun = line.object.strip_suffix(".partial");
    let named = begun.and_then(|begun| begun.rsplit_once('.'));
    named.map_or(&line.object, |(name, _)| name)
}

/// A line as rclone meant it. Before its log is set up it writes plain text, with the time first.
fn parse_line(text: &str) -> Line {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_json_or_plain_text_with_a_time() {
        let json = parse_line(r#"{"level":"info","msg":"Copied (new)","object":"a/b"}"#);
        assert_eq!(
            (json.msg.as_str(), json.object.as_str()),
            ("Copied (new)", "a/b")
        );
        let plain = parse_line("2026/11/25 11:19:33 Failed to create file system for \"x:\"");
        assert_eq!(plain.msg, "Failed to create file system for \"x:\"");
        assert_eq!(
            parse_line("2026/11/25 11:08:46 NOTICE: Config").level,
            "notice"
        );
    }

    #[test]
    fn a_transfer_that_cannot_get_its_name_is_told_by_it() {
        let of = |msg: &str, object: &str| {
            let line = serde_json::json!({ "level": "error", "msg": msg, "object": object });
            named(&parse_line(&line.to_string())).to_owned()
        };
        let said = "partial file rename failed: can't move object - incompatible remotes";
        assert_eq!(of(said, "aa/x.1.cd26abba.partial"), "aa/x.1");
        // What somebody called so is called so.
        let own = "aa/x.cd26abba.partial";
        assert_eq!(of("Failed to copy: permission denied", own), own);
        assert_eq!(of(said, &format!("{own}.12ab34cd.partial")), own);
    }

    #[test]
    fn what_is_cut_is_of_a_file_and_what_is_forbidden_is_not() {
        let told = |faults: &[(&str, &str)]| {
            let faults = faults.iter();
            FileFaults {
                faults: faults
                    .map(|(file, said)| ((*file).to_owned(), (*said).to_owned()))
                    .collect(),
                ..FileFaults::default()
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
        assert!(told(&[cut, other]).is_of_content());
        let sealed = "Failed to copy: failed to authenticate decrypted block - bad password?";
        assert!(told(&[cut, ("d", sealed)]).is_of_content());
        assert!(!told(&[other, forbidden]).is_of_content());
        assert!(!told(&[]).is_of_content());
    }
}
