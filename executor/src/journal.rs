//! A run's journal: what was begun and what was ended, on disk before anything goes on.
//!
//! One JSON object a line: `{"v":1,"n":0,"sum":"…","event":{…}}`. `sum` is the start of the SHA-256
//! of the line's other parts, so that a torn or damaged line is known. A torn last line never
//! counted and is cut off; damage before that, or a version from the future, sets the whole
//! journal aside, because what it says cannot be trusted.

use std::{
    ffi::OsStr,
    fs::File,
    io::{Seek as _, SeekFrom, Write as _},
    sync::atomic::{AtomicBool, Ordering},
};

use chrono::{DateTime, FixedOffset};
use schema::{
    Digest, RunResult,
    journal::{FORMAT_VERSION, JournalEvent, Outcome},
    plan::Share,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    bounded::read_bounded,
    error::{Error, Result},
    sys::{Dir, Kind, Stat},
    watch,
};

/// Name of the journal in a run's folder.
pub const FILE_NAME: &str = "journal.jsonl";

/// Longest journal that is read, in bytes: a run of thirty steps with a thousand problems each, at
/// paths of a thousand bytes, has half of it. A longer one is damaged.
const LONGEST_JOURNAL: u64 = 64 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    v: u32,
    n: u64,
    sum: String,
    #[serde(borrow)]
    event: &'a RawValue,
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    file: File,
    next: u64,
    path: String,
}

/// What a journal says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replay {
    /// Its events, first to last.
    pub events: Vec<JournalEvent>,
}

impl Replay {
    /// What the bytes of a journal say, as far as whole lines go; none where they cannot be trusted.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        parse_lines(bytes).ok().map(|(replay, _)| replay)
    }

    /// The bytes of a journal that says the same.
    ///
    /// # Errors
    /// An event that is no JSON.
    pub fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for (n, event) in (0..).zip(&self.events) {
            bytes.extend(encode_line(n, event)?.into_bytes());
        }
        Ok(bytes)
    }

    /// How a step ended, if it did.
    #[must_use]
    pub fn outcome(&self, step: &str) -> Option<&Outcome> {
        self.events.iter().rev().find_map(|event| match event {
            JournalEvent::StepFinished {
                step: of, outcome, ..
            } if of == step => Some(outcome),
            _ => None,
        })
    }

    /// The step that was begun and not ended.
    #[must_use]
    pub fn running(&self) -> Option<&str> {
        self.events.iter().rev().find_map(|event| match event {
            JournalEvent::StepStarted { step, .. } => {
                Some(step.as_str()).filter(|step| self.outcome(step).is_none())
            }
            _ => None,
        })
    }

    /// When a step began, the last time that it did.
    #[must_use]
    pub fn started(&self, step: &str) -> Option<DateTime<FixedOffset>> {
        self.events.iter().rev().find_map(|event| match event {
            JournalEvent::StepStarted { step: of, at } if of == step => Some(*at),
            _ => None,
        })
    }

    /// What a process of its own was to do, if nothing but steps came since.
    #[must_use]
    pub fn handed_to(&self) -> Option<Share> {
        let mut others = self.events.iter().rev().filter(|event| {
            !matches!(
                event,
                JournalEvent::StepStarted { .. } | JournalEvent::StepFinished { .. }
            )
        });
        match others.next() {
            Some(JournalEvent::HandedOver { part, of, .. }) => Some(Share {
                part: *part,
                of: of.clone(),
            }),
            _ => None,
        }
    }

    /// Whether the run was interrupted and what it owes then was done, or nothing was begun.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let last = self.events.iter().rev().find(|event| {
            matches!(
                event,
                JournalEvent::RunStarted { .. } | JournalEvent::Settled { .. }
            )
        });
        !matches!(last, Some(JournalEvent::RunStarted { .. }))
    }

    /// Why the run was interrupted, where that was written down and nothing came after it.
    #[must_use]
    pub fn interrupted(&self) -> Option<&str> {
        match self.events.last() {
            Some(JournalEvent::Interrupted { because, .. }) => Some(because),
            _ => None,
        }
    }

    /// How often in a row the run was interrupted in one and the same step, if it has not ended.
    ///
    /// Each start that nothing ended is one interruption; those before it got further count no more.
    #[must_use]
    pub fn interruptions(&self) -> u64 {
        let mut ends: Vec<Option<&str>> = Vec::new();
        for event in &self.events {
            match event {
                JournalEvent::RunStarted { .. } => ends.push(None),
                JournalEvent::StepStarted { step, .. } => {
                    if let Some(end) = ends.last_mut() {
                        *end = Some(step);
                    }
                }
                _ => {}
            }
        }
        let last = ends.last().copied();
        ends.iter()
            .rev()
            .take_while(|end| Some(**end) == last)
            .count() as u64
    }

    /// The interruptions that were counted when the run was given up.
    #[must_use]
    pub fn handed_on(&self) -> u64 {
        let abandoned = self.events.iter().find_map(|event| match event {
            JournalEvent::RunAbandoned { interruptions, .. } => Some(*interruptions),
            _ => None,
        });
        abandoned.unwrap_or_default()
    }

    /// Whether the run was given up.
    #[must_use]
    pub fn abandoned(&self) -> bool {
        self.events
            .iter()
            .any(|event| matches!(event, JournalEvent::RunAbandoned { .. }))
    }

    /// How the run ended, if it did.
    #[must_use]
    pub fn result(&self) -> Option<RunResult> {
        self.events.iter().find_map(|event| match event {
            JournalEvent::RunEnded { result, .. } => Some(*result),
            _ => None,
        })
    }
}

/// Why a journal cannot be gone on with.
enum Fault {
    /// A line before the last one is damaged.
    Damaged,
    /// A later version wrote it.
    Version(u32),
}

impl Journal {
    /// Opens a run's journal, creating it where it is missing, and reads what it says.
    ///
    /// A torn tail is cut off. A journal that cannot be trusted is renamed and an empty one takes
    /// its place: every step runs again, which each can.
    ///
    /// # Errors
    /// Fails if the journal cannot be read or written.
    pub fn open(run: &Dir, path: &str) -> Result<(Self, Replay)> {
        Self::open_named(run, FILE_NAME, path)
    }

    /// The same for a journal of another name.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) fn open_named(folder: &Dir, name: &str, path: &str) -> Result<(Self, Replay)> {
        let io = |doing: &str, error: std::io::Error| Error::io(doing, path.as_bytes(), error);
        let file_name = OsStr::new(name);
        let mut file = folder
            .file_or_new(file_name, 0o600)
            .map_err(|e| io("open", e.into()))?;
        let length = file.metadata().map_err(|e| io("read", e))?.len();
        let (bytes, parsed) = if length > LONGEST_JOURNAL {
            (Vec::new(), Err(Fault::Damaged))
        } else {
            let bytes = read_bounded(&file, LONGEST_JOURNAL).map_err(|e| io("read", e))?;
            let parsed = parse_lines(&bytes);
            (bytes, parsed)
        };
        match parsed {
            Ok((replay, good)) => {
                if good < bytes.len() {
                    file.set_len(good as u64).map_err(|e| io("cut", e))?;
                }
                file.seek(SeekFrom::End(0)).map_err(|e| io("read", e))?;
                file.sync_all().map_err(|e| io("sync", e))?;
                folder.sync().map_err(|e| io("sync", e.into()))?;
                let next = replay.events.len() as u64;
                let path = path.to_owned();
                Ok((Self { file, next, path }, replay))
            }
            Err(fault) => {
                let suffix = match fault {
                    Fault::Damaged => "damaged".to_owned(),
                    Fault::Version(version) => format!("version-{version}"),
                };
                let aside = format!("{name}.{suffix}");
                folder
                    .rename_over(file_name, OsStr::new(&aside))
                    .map_err(|e| io("set aside", e.into()))?;
                Self::open_named(folder, name, path)
            }
        }
    }

    /// Writes an event and waits until it is on disk.
    ///
    /// # Errors
    /// Fails if the journal cannot be read or written; the run must not go on then.
    pub fn append(&mut self, event: &JournalEvent) -> Result<()> {
        let _turn = watch::journal_turn();
        let line = encode_line(self.next, event)
            .map_err(|error| Error::failed(format!("cannot write {}: {error}", self.path)))?;
        self.file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.sync_data())
            .map_err(|error| {
                Error::io("write", self.path.as_bytes(), error)
                    .hint("free space for the state directory, or name another with --state-dir")
            })?;
        self.next += 1;
        WRITTEN.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// Whether this process has written to a run's journal.
static WRITTEN: AtomicBool = AtomicBool::new(false);

/// Whether this process has begun a run, or a part of one.
#[must_use]
pub fn was_written() -> bool {
    WRITTEN.load(Ordering::Relaxed)
}

/// Reads a journal of a run without changing it; `None` if there is none or it cannot be trusted.
///
/// # Errors
/// Fails if the journal cannot be read.
pub fn read_journal(folder: &Dir, name: &str, path: &str) -> Result<Option<Replay>> {
    match folder.file(OsStr::new(name)) {
        Ok(file) => {
            let stat = Stat::of_fd(&file).map_err(|e| Error::io("read", path.as_bytes(), e))?;
            if stat.kind != Kind::File {
                return Ok(None);
            }
            if stat.size > LONGEST_JOURNAL {
                return Ok(Some(Replay::default()));
            }
            let bytes = read_bounded(file, LONGEST_JOURNAL)
                .map_err(|error| Error::io("read", path.as_bytes(), error))?;
            // One that cannot be trusted says nothing, so the run counts as just begun.
            Ok(Some(Replay::from_bytes(&bytes).unwrap_or_default()))
        }
        Err(rustix::io::Errno::NOENT) => Ok(Some(Replay::default())),
        Err(error) => Err(Error::io("read", path.as_bytes(), error)),
    }
}

fn encode_line(n: u64, event: &JournalEvent) -> serde_json::Result<String> {
    let event = serde_json::value::to_raw_value(event)?;
    let line = Line {
        v: FORMAT_VERSION,
        n,
        sum: line_checksum(FORMAT_VERSION, n, event.get()),
        event: &event,
    };
    let mut text = serde_json::to_string(&line)?;
    text.push('\n');
    Ok(text)
}

fn line_checksum(v: u32, n: u64, event: &str) -> String {
    Digest::of(format!("{v} {n} {event}").as_bytes()).to_string()[..16].to_owned()
}

/// The events, and how many bytes of the text they fill.
fn parse_lines(bytes: &[u8]) -> std::result::Result<(Replay, usize), Fault> {
    let mut replay = Replay::default();
    let mut good = 0;
    while good < bytes.len() {
        let rest = &bytes[good..];
        let end = rest.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(rest.len(), |end| end + 1);
        let last = good + length == bytes.len();
        match decode_line(
            &rest[..end.unwrap_or(rest.len())],
            replay.events.len() as u64,
        ) {
            Ok(event) if end.is_some() => replay.events.push(event),
            Err(Some(fault)) => return Err(fault),
            // Without its newline a line was never acknowledged, whole as it may look.
            _ if last => break,
            _ => return Err(Fault::Damaged),
        }
        good += length;
    }
    Ok((replay, good))
}

fn decode_line(line: &[u8], n: u64) -> std::result::Result<JournalEvent, Option<Fault>> {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    let version: Version = serde_json::from_slice(line).map_err(|_| None)?;
    if version.v != FORMAT_VERSION {
        return Err(Some(Fault::Version(version.v)));
    }
    let line: Line<'_> = serde_json::from_slice(line).map_err(|_| None)?;
    if line.n != n || line.sum != line_checksum(line.v, line.n, line.event.get()) {
        return Err(None);
    }
    serde_json::from_str(line.event.get()).map_err(|_| None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Dir) {
        let temporary = tempfile::tempdir().unwrap();
        let dir = crate::sys::resolve::resolve(temporary.path()).unwrap();
        let dir = dir.folder().unwrap();
        (temporary, dir)
    }

    fn event(step: &str) -> JournalEvent {
        JournalEvent::StepStarted {
            step: step.to_owned(),
            at: "2025-01-16T02:00:00+01:00".parse().unwrap(),
        }
    }

    fn written(dir: &Dir) -> Vec<u8> {
        let (mut journal, _) = Journal::open(dir, "j").unwrap();
        for step in ["a", "b", "c"] {
            journal.append(&event(step)).unwrap();
        }
        dir.read_whole(FILE_NAME, 1 << 20).unwrap().unwrap()
    }

    #[test]
    fn whatever_is_cut_off_the_end_only_whole_lines_count_and_the_rest_goes_on() {
        let (_keep, dir) = folder();
        let whole = written(&dir);
        for length in 0..=whole.len() {
            let (temporary, dir) = folder();
            std::fs::write(temporary.path().join(FILE_NAME), &whole[..length]).unwrap();
            let lines = whole[..length]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count();
            let (mut journal, replay) = Journal::open(&dir, "j").unwrap();
            assert_eq!(replay.events.len(), lines, "cut at {length}");
            journal.append(&event("later")).unwrap();
            let (_, replay) = Journal::open(&dir, "j").unwrap();
            assert_eq!(replay.events.len(), lines + 1);
            assert_eq!(replay.events.last(), Some(&event("later")));
        }
    }

    #[test]
    fn a_damaged_line_in_the_middle_or_a_later_version_sets_the_journal_aside() {
        for (from, to, aside) in [
            ("\"step\":\"a\"", "\"step\":\"x\"", "journal.jsonl.damaged"),
            (
                "\"v\":1,\"n\":1",
                "\"v\":9,\"n\":1",
                "journal.jsonl.version-9",
            ),
        ] {
            let (temporary, dir) = folder();
            let text = String::from_utf8(written(&dir)).unwrap();
            assert!(text.contains(from));
            let path = temporary.path().join(FILE_NAME);
            std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
            assert_eq!(
                read_journal(&dir, FILE_NAME, "j").unwrap(),
                Some(Replay::default())
            );
            let (_, replay) = Journal::open(&dir, "j").unwrap();
            assert_eq!(replay, Replay::default());
            assert!(temporary.path().join(aside).exists());
        }
    }
}
