//! What is read that others may have written, and what must hold of it whatever its bytes are: it is
//! refused or understood, without a panic; what is understood is written so that it reads the same; and
//! what is written twice is the same twice.
//!
//! libFuzzer makes up bytes for these functions (`fuzz_targets/`), and the corpus is replayed by every
//! run of the tests (`tests/corpus.rs`).

use std::{
    fs::File,
    io::{Seek as _, SeekFrom, Write as _},
};

use chrono::{DateTime, NaiveDateTime};
use executor::{
    cloud::names::remote_name,
    journal::Replay,
    manifest::{Entry, Reader, segments},
};
use planner::{
    calendar::Calendar,
    check,
    units::{Layout, render_units},
};
use schema::{
    Span, StoredPath,
    cloud::UploadRecord,
    inventory::Inventory,
    pattern::Excludes,
    plan::SavedPlan,
    record::{self, RotationRecord, SnapshotMarks, SnapshotRecord},
};
use serde::{Serialize, de::DeserializeOwned};

/// A target: what it does with bytes.
pub(crate) type Target = fn(&[u8]);

/// All targets by name; each has a file in `fuzz_targets/` and a folder in `corpus/`.
pub(crate) const TARGETS: [(&str, Target); 9] = [
    ("calendar", read_calendar),
    ("config", read_config),
    ("journal", read_journal),
    ("manifest", read_manifest),
    ("patterns", read_patterns),
    ("plan", read_plan),
    ("record", read_record),
    ("remote_manifest", read_remote_manifest),
    ("segment_list", read_segment_list),
];

/// Most entries that are read of one manifest: a few bytes unpack to millions.
const MOST_ENTRIES: usize = 2000;

/// Runs the target of this name.
///
/// # Panics
/// Where there is none, and where something does not hold.
pub(crate) fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|(one, _)| *one == name);
    target.expect("a target of this name").1(bytes);
}

/// `config.json`.
fn read_config(bytes: &[u8]) {
    let checked = match check::check_config(bytes) {
        Ok(checked) => checked,
        Err(faults) => {
            assert!(!faults.is_empty(), "refused for nothing");
            assert!(!check::render(&faults).trim().is_empty());
            return;
        }
    };
    let written = serde_json::to_vec_pretty(&checked.config).expect("JSON");
    let again = check::check_config(&written).expect("what is valid is valid when it is written");
    assert_eq!(again.config, checked.config);
    assert_eq!(serde_json::to_vec_pretty(&again.config).ok(), Some(written));
    // Nothing of it gets out of its line in a unit.
    let layout = Layout::of_root("/usr/bin/backup");
    for unit in render_units(&checked.config, &layout) {
        for line in unit.text.lines() {
            let begins = line.starts_with(['#', '[']) || line.is_empty();
            let key = line.split_once('=').map_or("", |(key, _)| key);
            let is_key = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
            let is_rule = unit.name.ends_with(".rules");
            assert!(begins || is_key || is_rule, "{}: {line}", unit.name);
        }
    }
}

/// A saved plan, which `apply` gets from anybody, held against a machine where it was not made.
fn read_plan(bytes: &[u8]) {
    let Some(saved) = reads_as_it_is_written::<SavedPlan>(bytes) else {
        return;
    };
    let plan = &saved.plan;
    let _ = (plan.expected_digest(), plan.severity(), plan.snapshot());
    let inventory: Inventory = serde_json::from_str(include_str!(
        "../tests/plans/the-default-policy-after-a-year/inventory.json"
    ))
    .expect("an inventory");
    for finding in planner::lint::check_saved(plan, &inventory) {
        assert!(!finding.message.is_empty());
    }
    if let Some(destination) = &inventory.destination {
        let _ = planner::lint::check_continued(plan, destination);
    }
}

/// A run's journal.
fn read_journal(bytes: &[u8]) {
    let Some(replay) = Replay::from_bytes(bytes) else {
        return;
    };
    let steps = replay.events.len();
    assert!(replay.interruptions() <= steps as u64);
    if let Some(running) = replay.running() {
        assert!(replay.outcome(running).is_none());
        assert!(replay.started(running).is_some());
    }
    let written = replay.to_bytes().expect("JSON");
    let again = Replay::from_bytes(&written).expect("what was written can be read");
    assert_eq!(again, replay);
    // A last line that was cut never counted, and nothing else is lost.
    if steps > 0 {
        let cut = Replay::from_bytes(&written[..written.len() - 1]).expect("a cut journal");
        assert_eq!(cut.events, replay.events[..steps - 1]);
    }
}

/// `snapshot.json`, and the records beside it.
fn read_record(bytes: &[u8]) {
    digested::<SnapshotRecord>(bytes);
    digested::<SnapshotMarks>(bytes);
    digested::<RotationRecord>(bytes);
}

/// `manifest.mtree.zst` of a destination, packed or not.
fn read_manifest(bytes: &[u8]) {
    for line in bytes.split(|byte| *byte == b'\n') {
        check_line(line);
    }
    let Ok(reader) = Reader::new(as_file(bytes)) else {
        return;
    };
    for entry in reader.take(MOST_ENTRIES) {
        let Ok(entry) = entry else { continue };
        let mut line = Vec::new();
        entry.write_line(&mut line);
        check_line(line.strip_suffix(b"\n").unwrap_or(&line));
    }
}

/// `SHA256SUMS` of a manifest in segments. Its digest is that of the manifest, so it is understood in no
/// form but the one that it is written in.
fn read_segment_list(bytes: &[u8]) {
    let Ok(digests) = segments::parse_list(bytes) else {
        return;
    };
    assert!(!digests.is_empty(), "a manifest without a segment");
    let written = segments::list_of(&digests);
    assert_eq!(written.as_bytes(), bytes);
    // One that is cut short is none.
    for (at, _) in written.match_indices('\n').rev().skip(1).take(8) {
        assert!(segments::parse_list(&bytes[..=at]).is_err(), "cut at {at}");
    }
}

/// `uploaded-<n>.json` of a remote, and the manifest beside it by which a restore goes.
fn read_remote_manifest(bytes: &[u8]) {
    digested::<UploadRecord>(bytes);
    for line in bytes.split(|byte| *byte == b'\n') {
        let Ok(entry) = Entry::from_line(line) else {
            continue;
        };
        // No remote keeps a name over several lines, or with a control character.
        if let Some(name) = remote_name(&entry) {
            let has_control = name
                .bytes()
                .any(|byte| byte.is_ascii_control() && byte != 0);
            assert!(!has_control, "{name:?}");
        }
    }
}

/// A line each with a pattern, and before them one with a path that is held against them.
fn read_patterns(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let path = lines.next().unwrap_or_default();
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let patterns: Vec<String> = lines
        .filter_map(|line| String::from_utf8(line.to_vec()).ok())
        .filter(|line| Excludes::one(line.as_bytes()).is_ok())
        .take(8)
        .collect();
    let all = Excludes::new(&patterns).expect("each of them is one");
    assert_eq!(
        all.to_rsync_patterns(StoredPath::root()).len(),
        patterns.len()
    );
    let source = StoredPath::new(path);
    assert!(all.to_rsync_patterns(source).len() >= patterns.len());
    for is_folder in [false, true] {
        // The first that matches, whether it is asked alone or with the others.
        let alone = patterns.iter().position(|pattern| {
            let one = Excludes::one(pattern.as_bytes()).expect("it was one");
            one.matches(path, is_folder).is_some()
        });
        assert_eq!(all.matches(path, is_folder), alone, "{patterns:?}");
    }
}

/// A calendar expression or a span of time.
fn read_calendar(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(span) = text.parse::<Span>() {
        let again: Span = span.to_string().parse().expect("a span as it is shown");
        assert_eq!(again, span, "{text}");
    }
    let Ok(calendar) = text.parse::<Calendar>() else {
        return;
    };
    let shown = calendar.normalized();
    let again: Calendar = shown.parse().expect("an expression as it is shown");
    assert_eq!(again.normalized(), shown, "{text}");
    let after = moment();
    if let Some(next) = calendar.next_after(after) {
        assert!(next > after, "{text}");
        let before = calendar.previous_before(next);
        assert!(before.is_none_or(|before| before <= after), "{text}");
    }
    let _ = calendar.interval_hint(after);
}

/// Some moment, late in a leap year.
fn moment() -> NaiveDateTime {
    let moment = DateTime::from_timestamp(1_709_164_799, 999_999_000);
    moment.expect("a moment").naive_utc()
}

/// A line of a manifest: what is understood says the same when it is written.
fn check_line(line: &[u8]) {
    let Ok(entry) = Entry::from_line(line) else {
        return;
    };
    let mut written = Vec::new();
    entry.write_line(&mut written);
    let Some((b'\n', written)) = written.split_last() else {
        panic!("a line without an end");
    };
    assert!(!written.contains(&b'\n'), "an entry over two lines");
    let again = Entry::from_line(written).expect("what was written can be read");
    assert_eq!(again, entry);
}

/// A document that ends with its own digest, or has none: what is understood says the same when it is
/// written, and no longer when a bit of it is another.
fn digested<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    let Ok(json) = record::strip_digest(bytes) else {
        return;
    };
    let Ok(value) = serde_json::from_slice::<T>(&json) else {
        return;
    };
    let mut pretty = serde_json::to_vec_pretty(&value).expect("JSON");
    pretty.push(b'\n');
    let written = record::append_digest(pretty.clone());
    let stripped = record::strip_digest(&written).expect("its own digest");
    assert_eq!(*stripped, *pretty);
    assert_eq!(serde_json::from_slice::<T>(&stripped).ok(), Some(value));
    if written.len() > pretty.len() {
        let mut altered = written;
        let at = bytes.len() % (pretty.len() - 4);
        altered[at] ^= 1 << (bytes.len() % 7);
        assert!(record::strip_digest(&altered).is_err());
    }
}

/// A document that is read whole: what is understood says the same when it is written.
fn reads_as_it_is_written<T>(bytes: &[u8]) -> Option<T>
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let value: T = serde_json::from_slice(bytes).ok()?;
    let written = serde_json::to_vec(&value).expect("JSON");
    let again: T = serde_json::from_slice(&written).expect("what was written can be read");
    assert_eq!(again, value);
    assert_eq!(serde_json::to_vec(&again).ok(), Some(written));
    Some(value)
}

/// Bytes as a file in memory.
fn as_file(bytes: &[u8]) -> File {
    let file = rustix::fs::memfd_create("fuzz", rustix::fs::MemfdFlags::CLOEXEC);
    let mut file = File::from(file.expect("a file in memory"));
    file.write_all(bytes).expect("a file in memory");
    file.seek(SeekFrom::Start(0)).expect("its beginning");
    file
}
