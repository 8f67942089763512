//! docs/format.md is enough to read what the program writes, and says all of it: a reader in another
//! language that knows nothing but that page reads it, and complains of what the page does not have.

use std::{fs, os::unix::ffi::OsStrExt as _, path::Path};

use test_support::{flip_byte, read_by_format_page, run_tool};

use crate::{
    cloud,
    lab::{Lab, id_of},
};

pub(crate) const FIRST: &str = "2025-03-05T02:00:00+01:00";
pub(crate) const SECOND: &str = "2025-03-06T02:00:00+01:00";
const THIRD: &str = "2025-03-07T02:00:00+01:00";

/// Two snapshots of entries of several kinds, one of which is pinned and verified.
pub(crate) fn lab() -> Lab {
    let lab = Lab::new();
    let odd = std::ffi::OsStr::from_bytes(b"blank \xff #=\\*?[ name\n");
    fs::write(lab.path("home").join(odd), "odd\n").unwrap();
    fs::hard_link(lab.path("home/ann/photo.jpg"), lab.path("home/bob/photo")).unwrap();
    std::os::unix::fs::symlink("../ann/odd name", lab.path("home/bob/link")).unwrap();
    run_tool("mkfifo", [lab.path("home/bob/fifo")]);
    lab.backup(FIRST);
    lab.write("home/ann/letter.txt", "dear all, again\n");
    fs::remove_file(lab.path("home/bob/notes/list.md")).unwrap();
    lab.backup(SECOND);
    lab.run(&["pin", &id_of(FIRST)]).expect(0);
    lab.run(&["verify", "--all"]).expect(0);
    lab
}

#[test]
fn a_destination_is_read_by_the_page_alone() {
    let lab = lab();
    let test = "a_destination_is_read_by_the_page_alone";
    let Some(read) = read_by_format_page(test, "destination", &lab.stored("")) else {
        return;
    };
    let told = read.expect(0).json();
    assert_eq!(told["latest"], lab.latest());
    for id in [id_of(FIRST), id_of(SECOND)] {
        let files = lab.record(&id)["totals"]["files"].clone();
        assert_eq!(told["snapshots"][&id]["files"], files, "{told:#}");
    }
}

#[test]
fn a_state_directory_is_read_by_the_page_alone() {
    let mut lab = lab();
    lab.run(&["health"]);
    // A run that was deferred, by a timer.
    lab.set("schedule.enable", true);
    lab.set("schedule.onlyOnAC", false);
    lab.set("local.ifAbsent", "defer");
    lab.set("local.mountPoint", lab.text("away"));
    lab.at(THIRD, &["apply", "--if-due"]).expect(75);
    let deferred = lab.path("state/deferrals.json");
    assert!(deferred.exists(), "{}", deferred.display());
    let test = "a_state_directory_is_read_by_the_page_alone";
    let Some(read) = read_by_format_page(test, "state", &lab.path("state")) else {
        return;
    };
    let told = read.expect(0).json();
    let runs = told["runs"].as_object().unwrap();
    assert_eq!(runs.keys().cloned().collect::<Vec<_>>(), lab.runs());
    let first = runs.values().next().unwrap().as_array().unwrap();
    assert_eq!(first[0], "run-started");
    assert_eq!(first[first.len() - 1], "run-ended");
}

#[test]
fn a_remote_is_read_by_the_page_alone() {
    let test = "a_remote_is_read_by_the_page_alone";
    let Some((mut lab, current)) = cloud::lab(test) else {
        return;
    };
    lab.set("cloud.syncMode", "sync");
    lab.backup(FIRST);
    fs::rename(lab.path("home/ann/photo.jpg"), lab.path("home/bob/moved")).unwrap();
    lab.write("home/ann/letter.txt", "dear all, again\n");
    // No remote takes a name that is no text.
    let refused = lab
        .path("home")
        .join(std::ffi::OsStr::from_bytes(b"gro\xdf as #\n"));
    fs::write(&refused, "x").unwrap();
    lab.at(SECOND, &["apply"]).expect(3);
    let remote = current.parent().unwrap();
    let Some(read) = read_by_format_page(test, "remote", remote) else {
        return;
    };
    let told = read.expect(0).json();
    for id in [id_of(FIRST), id_of(SECOND)] {
        assert_eq!(told["uploads"][&id]["files"], 3, "{told:#}");
    }
    assert_eq!(
        told["uploads"][id_of(SECOND)]["not_uploaded"],
        serde_json::json!([as_hex(&refused)]),
        "{told:#}"
    );
    let state = read_by_format_page(test, "state", &lab.path("state"));
    state.unwrap().expect(0);
}

/// The bytes of a path, as the reader prints them.
pub(crate) fn as_hex(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes().iter();
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// Changes a text in a file.
fn replace(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn the_reader_notices_what_the_page_does_not_have() {
    let test = "the_reader_notices_what_the_page_does_not_have";
    let lab = lab();
    let id = id_of(SECOND);
    let at = |path: &str| lab.stored(".backup").join(path);
    let record = at(&format!("snapshots/{id}/snapshot.json"));
    let letter = lab.inside(&format!("daily/{id}"), "home/ann/letter.txt");
    let journal = lab
        .path("state/runs")
        .join(&lab.runs()[0])
        .join("journal.jsonl");
    type Change<'a> = &'a dyn Fn();
    let cases: [(Change<'_>, &str, &str); 7] = [
        (&|| flip_byte(&letter), "destination", "has another content"),
        (
            &|| fs::remove_file(&letter).unwrap(),
            "destination",
            "No such file",
        ),
        (
            &|| fs::write(at("new.json"), "").unwrap(),
            "destination",
            "new.json: is not documented",
        ),
        (
            &|| replace(&record, "\"host\"", "\"hoster\""),
            "destination",
            "the key `hoster` is not documented",
        ),
        (
            &|| replace(&record, "atlas", "atlus"),
            "destination",
            "what its record_digest says",
        ),
        (
            &|| fs::write(lab.path("state/more"), "").unwrap(),
            "state",
            "more: is not documented",
        ),
        (
            &|| replace(&journal, "run-started", "run-begun"),
            "state",
            "has another sum",
        ),
    ];
    for (change, kind, words) in cases {
        let folder = match kind {
            "state" => lab.path("state"),
            _ => lab.stored(""),
        };
        let keep = lab.path("keep");
        run_tool("cp", ["-a".as_ref(), folder.as_os_str(), keep.as_os_str()]);
        change();
        let Some(read) = read_by_format_page(test, kind, &folder) else {
            return;
        };
        read.expect(1).says(words);
        run_tool("rm", ["-rf".as_ref(), folder.as_os_str()]);
        fs::rename(&keep, &folder).unwrap();
    }
}
