//! A damaged manifest costs the use of its snapshot as a basis, and nothing else: the next backup
//! is made with an older one or with none, and it is told.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use test_support::flip_byte;

use crate::{
    damage::{FIRST, FOURTH, SECOND, THIRD, VICTIM, nights, stored},
    lab::{Lab, PROGRAM, Ran, can_trace, finding_codes, id_of, run_command, skip},
};

/// The list of the segments of a night's manifest.
pub(crate) fn manifest(lab: &Lab, night: &str) -> PathBuf {
    records(lab, night).join("manifest/SHA256SUMS")
}

/// The folder of a night's records.
pub(crate) fn records(lab: &Lab, night: &str) -> PathBuf {
    lab.stored(&format!(".backup/snapshots/{}", id_of(night)))
}

/// Puts a manifest that is one file in the place of one in segments, as an older release would have
/// written it; gives its digest.
pub(crate) fn write_whole(
    records: &Path,
    write: impl FnOnce(&mut executor::manifest::Writer),
) -> schema::Digest {
    let path = records.join(executor::manifest::FILE_NAME);
    let mut writer = executor::manifest::Writer::new(fs::File::create(path).unwrap()).unwrap();
    write(&mut writer);
    let digest = writer.finish().unwrap();
    fs::remove_dir_all(records.join("manifest")).unwrap();
    digest
}

/// A fault and how it comes to a file.
pub(crate) type Fault = (&'static str, fn(&Path));

/// Everything that can happen to a small file that is read.
pub(crate) const FAULTS: [Fault; 9] = [
    ("flipped", flip_byte),
    ("empty", |path| fs::write(path, "").unwrap()),
    ("truncated", |path| {
        let content = fs::read(path).unwrap();
        fs::write(path, &content[..content.len() / 2]).unwrap();
    }),
    ("rubbish", |path| fs::write(path, "{\"x").unwrap()),
    ("missing", |path| fs::remove_file(path).unwrap()),
    ("a folder", |path| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
    }),
    ("a symlink", |path| {
        let beside = path.with_extension("beside");
        fs::rename(path, &beside).unwrap();
        symlink(&beside, path).unwrap();
    }),
    ("a fifo", |path| {
        fs::remove_file(path).unwrap();
        let made = Command::new("mkfifo").arg(path).status().unwrap();
        assert!(made.success());
    }),
    ("huge", |path| {
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(1 << 30).unwrap();
    }),
];

fn basis(lab: &Lab, report: &Value) -> Value {
    lab.record(report["snapshot"]["id"].as_str().unwrap())["basis"].clone()
}

/// Whether the newest snapshot holds what the source holds.
fn holds(lab: &Lab, night: &str) -> bool {
    fs::read(stored(lab, night, VICTIM)).unwrap() == fs::read(lab.path(VICTIM)).unwrap()
}

#[test]
fn the_next_backup_does_without_a_damaged_manifest_and_says_so() {
    for (fault, act) in FAULTS {
        let lab = nights(&[FIRST, SECOND]);
        act(&manifest(&lab, SECOND));
        lab.write(VICTIM, "dear nobody\n");
        let id = id_of(SECOND);
        let plan = lab.at(THIRD, &["plan", "--json"]).expect(0).json();
        let found = finding_codes(&plan["findings"]);
        assert!(
            found.contains(&"snapshot-manifest-damaged"),
            "{fault}: {found:?}"
        );

        let report = lab.backup(THIRD);
        assert_eq!(report["result"], "success", "{fault}");
        assert_eq!(basis(&lab, &report), *id_of(FIRST), "{fault}");
        assert!(holds(&lab, THIRD), "{fault}");
        // Whoever only looks afterwards is told, and what to do.
        lab.at(THIRD, &["status"])
            .says(&format!("the manifest of snapshot {id}"));
        lab.at(THIRD, &["health", "--quick"])
            .says(&format!("the manifest of snapshot {id}"))
            .hints(&format!("backup verify {id} --repair"));
        // The next one is as any.
        assert_eq!(basis(&lab, &lab.backup(FOURTH)), *id_of(THIRD), "{fault}");
    }
}

#[test]
fn without_any_manifest_everything_is_copied() {
    let lab = nights(&[FIRST, SECOND]);
    for night in [FIRST, SECOND] {
        flip_byte(&manifest(&lab, night));
    }
    let report = lab.backup(THIRD);
    assert_eq!(report["result"], "success");
    assert_eq!(basis(&lab, &report), Value::Null);
    assert!(holds(&lab, THIRD));
}

#[test]
fn a_manifest_that_serves_again_is_used_again() {
    let lab = nights(&[FIRST, SECOND]);
    let path = manifest(&lab, SECOND);
    let whole = fs::read(&path).unwrap();
    flip_byte(&path);
    lab.run(&["verify"]).expect(3);
    lab.at(THIRD, &["status"]).says("the manifest of snapshot");
    fs::write(&path, whole).unwrap();
    assert_eq!(basis(&lab, &lab.backup(THIRD)), *id_of(SECOND));
}

#[test]
fn a_manifest_that_cannot_be_read_at_any_moment_ends_no_backup() {
    if !can_trace() {
        return skip("a_manifest_that_cannot_be_read: no strace here");
    }
    for engine in [false, true] {
        for nth in 1..8 {
            let mut lab = Lab::new();
            lab.set("local.useRsync", engine);
            lab.backup(FIRST);
            lab.backup(SECOND);
            lab.write(VICTIM, "dear nobody\n");
            let mut strace = lab.bare("strace");
            strace
                .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=read"])
                .arg("-P")
                .arg(manifest(&lab, SECOND))
                .args(["-e", &format!("inject=read:error=EIO:when={nth}"), PROGRAM])
                .args(["--threads", "1", "apply", "--now", THIRD, "--config"])
                .arg(lab.path("config.json"))
                .arg("--state-dir")
                .arg(lab.path("state"))
                .arg("--log-dir")
                .arg(lab.path("log"));
            run_command(strace, &["apply, with a read that fails"]).expect(0);
            let newest = lab.ids().pop().unwrap();
            assert!(newest > id_of(SECOND), "{nth}: {newest}");
            let there = lab.inside("latest", VICTIM);
            assert_eq!(fs::read(there).unwrap(), b"dear nobody\n", "{nth}");
        }
    }
}

#[test]
fn a_run_whose_basis_is_damaged_meanwhile_is_planned_anew() {
    let lab = nights(&[FIRST, SECOND]);
    // A plan that was begun and not ended.
    let plan = lab.at(THIRD, &["apply", "--json"]).expect(0).json();
    let run = plan["run_id"].as_str().unwrap();
    let folder = lab.path(format!("state/runs/{run}"));
    fs::remove_file(folder.join("report.json")).unwrap();
    fs::write(folder.join("journal.jsonl"), "").unwrap();
    let third = stored(&lab, THIRD, "");
    fs::remove_dir_all(
        third
            .ancestors()
            .find(|at| at.ends_with(id_of(THIRD)))
            .unwrap(),
    )
    .unwrap();
    fs::remove_dir_all(lab.stored(&format!(".backup/snapshots/{}", id_of(THIRD)))).unwrap();
    flip_byte(&manifest(&lab, SECOND));
    let later = "2025-03-07T03:00:00+01:00";
    lab.at(later, &["apply"])
        .expect(0)
        .says(&format!("its basis {} cannot be used", id_of(SECOND)));
    assert_eq!(lab.record(&id_of(later))["basis"], *id_of(FIRST));
}

#[test]
fn list_marks_the_damaged_snapshots_and_calls_the_whole_ones_whole() {
    let lab = nights(&[FIRST, SECOND]);
    flip_byte(&stored(&lab, SECOND, VICTIM));
    lab.run(&["verify", "--all"]).expect(3);
    lab.backup(THIRD);
    let json = lab.at(THIRD, &["list", "--json"]).expect(0).json();
    let damaged: Vec<_> = json["snapshots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["damaged"].as_u64().unwrap())
        .collect();
    // The newest first; the first two share the damaged file.
    assert_eq!(damaged, [0, 1, 1]);
    lab.at(THIRD, &["list"]).expect(0).says("1 entry damaged");
    flip_byte(&manifest(&lab, SECOND));
    lab.run(&["verify", &id_of(SECOND)]).expect(3);
    lab.at(THIRD, &["list"]).expect(0).says("manifest damaged");
    // What is missing is no stored file's damage, and is remembered all the same.
    fs::remove_file(stored(&lab, FIRST, "home/bob/notes/list.md")).unwrap();
    lab.run(&["verify", "--quick", &id_of(FIRST)]).expect(3);
    let json = lab.at(THIRD, &["list", "--json"]).expect(0).json();
    assert!(
        json["snapshots"][2]["damaged"].as_u64().unwrap() >= 2,
        "{json}"
    );
}

#[test]
fn a_newest_snapshot_whose_record_is_damaged_is_never_replaced_without_a_word() {
    let lab = nights(&[FIRST, SECOND]);
    let record = lab.stored(&format!(
        ".backup/snapshots/{}/snapshot.json",
        id_of(SECOND)
    ));
    fs::write(record, "{").unwrap();
    let letter = lab.text(VICTIM);
    lab.run(&["restore", "latest", &letter, "back"])
        .expect(0)
        .says(&format!("restored 1 entry from monthly/{}", id_of(FIRST)))
        .says(&format!("daily/{} is newer", id_of(SECOND)));
    lab.run(&["diff", "latest", "now"])
        .says(&format!("daily/{} is newer", id_of(SECOND)));
    lab.run(&["find", "letter.txt"])
        .says(&format!("not searched: daily/{}", id_of(SECOND)));
    // By its name it is what was asked for.
    lab.run(&[
        "restore",
        &format!("daily/{}", id_of(SECOND)),
        &letter,
        "it",
    ])
    .expect(0)
    .says(&format!("from daily/{}", id_of(SECOND)));
}

#[test]
fn a_damaged_manifest_is_made_anew_and_its_snapshot_serves_again() {
    for (fault, act) in FAULTS {
        let lab = nights(&[FIRST, SECOND]);
        let tree = crate::lab::contents_below(&lab.stored(&format!("daily/{}", id_of(SECOND))));
        let id = id_of(SECOND);
        let sealed = lab.record(&id);
        act(&manifest(&lab, SECOND));
        lab.run(&["verify", "--repair", &id])
            .expect(0)
            .says("the records of 1 snapshot made anew")
            .says("Whole.");
        let after = crate::lab::contents_below(&lab.stored(&format!("daily/{id}")));
        assert_eq!(after, tree, "{fault}");
        // The segments are whole, and tell what the list was.
        assert_eq!(lab.record(&id), sealed, "{fault}");
        assert!(records(&lab, SECOND).join("manifest.damaged").is_dir());
        lab.run(&["verify", "--all"]).expect(0).says("Whole.");
        let shown = lab.at(THIRD, &["list"]).expect(0);
        assert!(!shown.stdout.contains("rebuilt"), "{shown}");
        let status = lab.at(THIRD, &["status"]).expect(0);
        assert!(!status.stdout.contains("manifest of"), "{}", status.stdout);
        assert_eq!(basis(&lab, &lab.backup(THIRD)), *id, "{fault}");
        lab.run(&["verify", "--all"]).expect(0).says("Whole.");
    }
}

#[test]
fn a_manifest_made_anew_takes_no_damage_for_truth_where_a_neighbour_knows_better() {
    let lab = nights(&[FIRST, SECOND]);
    crate::damage::unseen(&stored(&lab, SECOND, VICTIM), || {
        flip_byte(&stored(&lab, SECOND, VICTIM));
    });
    flip_byte(&manifest(&lab, SECOND));
    // The source has it no more, so that it stays damaged.
    lab.write(VICTIM, "something else\n");
    lab.run(&["verify", "--repair", &id_of(SECOND)])
        .expect(3)
        .says("digest is")
        .says(&lab.text(VICTIM));
    lab.run(&["verify", &id_of(FIRST)]).expect(3);
    // With its content back, one command heals it.
    lab.write(VICTIM, "dear all\n");
    lab.run(&["verify", "--repair", &id_of(SECOND)]).expect(0);
    lab.run(&["verify", "--all"]).expect(0).says("Whole.");
}

/// Repairs a night's records, with this done to the nth of these calls that have to do with a path.
fn repair_traced(lab: &Lab, night: &str, at: &Path, inject: (&str, &str, usize)) -> Ran {
    let (call, what, nth) = inject;
    let mut strace = lab.bare("strace");
    strace
        .args(["-f", "-qq", "-o", "/dev/null"])
        .args(["-e", &format!("trace={call}")])
        .arg("-P")
        .arg(at)
        .arg("-e")
        .arg(format!("inject={call}:{what}:when={nth}"))
        .args([PROGRAM, "verify", "--repair", &id_of(night), "--config"])
        .arg(lab.path("config.json"))
        .arg("--state-dir")
        .arg(lab.path("state"))
        .arg("--log-dir")
        .arg(lab.path("log"));
    run_command(strace, &["verify --repair, traced"])
}

#[test]
fn a_repair_of_records_on_a_full_disk_says_so_and_can_be_run_again() {
    if !can_trace() {
        return skip("a_repair_of_records_on_a_full_disk: no strace here");
    }
    let calls = [
        ("mkdirat", None),
        ("openat", Some("manifest.new")),
        ("write", Some("manifest.new/manifest.000001.zst")),
        ("write", Some("manifest.new/SHA256SUMS")),
        ("fsync", Some("manifest.new/SHA256SUMS")),
        ("write", Some(".snapshot.json.new.new")),
    ];
    for (call, file) in calls {
        let lab = nights(&[FIRST, SECOND]);
        let records = records(&lab, SECOND);
        let (record, list) = (records.join("snapshot.json"), manifest(&lab, SECOND));
        let first = records.join("manifest/manifest.000001.zst");
        for damaged in [&list, &first] {
            flip_byte(damaged);
        }
        fs::write(&record, "{").unwrap();
        let damaged = || [&record, &list, &first].map(|path| fs::read(path).unwrap());
        let before = damaged();
        let at = file.map_or(records.clone(), |file| records.join(file));
        let done = repair_traced(&lab, SECOND, &at, (call, "error=ENOSPC", 1));
        done.expect(3).says("insufficient space");
        assert!(damaged() == before, "{call} {file:?}");
        lab.run(&["verify", "--repair", &id_of(SECOND)]).expect(0);
        lab.run(&["verify", "--all"]).expect(0).says("Whole.");
    }
}

#[test]
fn a_repair_of_records_can_be_killed_at_any_rename_and_run_again() {
    if !can_trace() {
        return skip("a_repair_of_records_can_be_killed: no strace here");
    }
    let mut killed = 0;
    // Each call is counted by itself.
    let calls = ["renameat", "renameat2", "linkat"];
    for (call, nth) in calls
        .into_iter()
        .flat_map(|call| (1..3).map(move |nth| (call, nth)))
    {
        let lab = nights(&[FIRST, SECOND]);
        let records = records(&lab, SECOND);
        let path = manifest(&lab, SECOND);
        flip_byte(&path);
        let damaged = fs::read(&path).unwrap();
        fs::write(records.join("snapshot.json"), "{").unwrap();
        let inject = (call, "signal=KILL", nth);
        let done = repair_traced(&lab, SECOND, &records, inject);
        killed += u32::from(done.code != 0);
        assert!(path.exists() && records.join("snapshot.json").exists());
        lab.run(&["verify", "--repair", &id_of(SECOND)]).expect(0);
        lab.run(&["verify", "--all"]).expect(0).says("Whole.");
        // The damaged ones are kept, whatever was repeated.
        let kept = |name| fs::read(records.join(name)).unwrap();
        assert_eq!(kept("manifest.damaged/SHA256SUMS"), damaged, "{call} {nth}");
        assert_eq!(kept("snapshot.json.damaged"), b"{", "{call} {nth}");
    }
    assert!(killed >= 5, "{killed}");
}
