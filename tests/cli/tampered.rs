//! Who may write to the disk changes a snapshot, its manifest and its record all alike: the machine
//! that made it notices, says since when, and goes on without it.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use executor::{
    manifest::{Entry, Reader},
    sys::Dir,
};
use schema::{
    Digest,
    record::{append_digest, strip_digest},
};
use serde_json::Value;

use crate::{
    cloud,
    damage::{FIRST, FOURTH, SECOND, THIRD, VICTIM, damage, nights, stored, unseen},
    lab::{HOST, Lab, Ran, finding_codes, id_of, read_json},
    manifests::{manifest, records, write_whole},
};

/// What the changed file holds, as many bytes as the letter has.
fn forged(lab: &Lab, night: &str) -> Vec<u8> {
    let before = fs::read(stored(lab, night, VICTIM)).unwrap();
    vec![b'x'; before.len()]
}

/// Changes a file of a snapshot, and manifest and record with it.
fn tamper(lab: &Lab, night: &str) {
    let text = forged(lab, night);
    let path = stored(lab, night, VICTIM);
    unseen(&path, || fs::write(&path, &text).unwrap());
    let records = records(lab, night);
    let dir = Dir::from_fd(File::open(&records).unwrap().into());
    let entries: Vec<Entry> = Reader::of_records(&dir)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let victim = lab.text(VICTIM);
    let digest = write_whole(&records, |writer| {
        for mut entry in entries {
            if entry.path.as_bytes() == &victim.as_bytes()[1..] {
                entry.digest = Some(Digest::of(&text));
            }
            writer.write(&entry).unwrap();
        }
    });
    change_record(&records.join("snapshot.json"), |record| {
        record["manifest_digest"] = serde_json::to_value(digest).unwrap();
    });
}

/// Changes a record and makes its own digest fit.
pub(crate) fn change_record(path: &Path, change: impl FnOnce(&mut Value)) {
    let file = fs::read(path).unwrap();
    let mut record: Value = serde_json::from_slice(&strip_digest(&file).unwrap()).unwrap();
    change(&mut record);
    let mut json = serde_json::to_vec_pretty(&record).unwrap();
    json.push(b'\n');
    fs::write(path, append_digest(json)).unwrap();
}

fn codes(ran: &Ran) -> Vec<String> {
    let json = ran.json();
    let codes = finding_codes(&json["findings"]);
    codes.into_iter().map(str::to_owned).collect()
}

const CHANGED: &str = "snapshot-manifest-changed";

/// Gives a snapshot another id, as if somebody had put another one in its place.
fn call_otherwise(lab: &Lab, night: &str, id: &str) {
    let known = id_of(night);
    let tree = stored(lab, night, "");
    let tree = tree.ancestors().find(|one| one.ends_with(&known)).unwrap();
    fs::rename(tree, lab.stored(&format!("daily/{id}"))).unwrap();
    let records = lab.stored(".backup/snapshots");
    fs::rename(records.join(&known), records.join(id)).unwrap();
    change_record(&records.join(id).join("snapshot.json"), |record| {
        record["id"] = id.into();
    });
}

#[test]
fn a_snapshot_that_somebody_put_there_gives_nobody_rights() {
    let lab = nights(&[FIRST]);
    lab.write("home/ann/tool", "a program\n");
    fs::set_permissions(lab.path("home/ann/tool"), Permissions::from_mode(0o4755)).unwrap();
    lab.backup(SECOND);
    let tool = lab.text("home/ann/tool");
    let restored_mode = |snapshot: &str, options: &[&str], code: i32| {
        let target = lab.path("back");
        let _ = fs::remove_file(&target);
        let words = ["restore", snapshot, &tool, target.to_str().unwrap()];
        lab.run(&[&words, options].concat()).expect(code);
        fs::metadata(&target).unwrap().permissions().mode() & 0o7777
    };
    assert_eq!(restored_mode(&id_of(SECOND), &[], 0), 0o4755);
    let put = "2025-03-06_22-00-00";
    call_otherwise(&lab, SECOND, put);
    assert_eq!(restored_mode(put, &[], 3), 0o755);
    // The run that finds it keeps its digest, which says nothing of who made it.
    lab.backup(THIRD);
    assert_eq!(restored_mode(put, &[], 3), 0o755);
    assert_eq!(restored_mode(&id_of(THIRD), &[], 0), 0o4755);
    assert_eq!(restored_mode(put, &["--special"], 0), 0o4755);
    // A person vouches for it.
    lab.run(&["accept", put]).expect(0);
    assert_eq!(restored_mode(put, &[], 0), 0o4755);
}

#[test]
fn what_stood_there_before_digests_were_kept_is_no_strangers() {
    let lab = nights(&[FIRST]);
    lab.write("home/ann/tool", "a program\n");
    fs::set_permissions(lab.path("home/ann/tool"), Permissions::from_mode(0o4755)).unwrap();
    lab.backup(SECOND);
    let sealed = lab.path("state/sealed.json");
    // An unfinished run of an older release, and what a person does before the next run.
    let unfinished = |lab: &Lab| {
        lab.backup(THIRD);
        let id = lab.runs().pop().unwrap();
        let run = lab.path("state/runs").join(&id);
        fs::remove_file(run.join("report.json")).unwrap();
        let journal = run.join("journal.jsonl");
        let text = fs::read_to_string(&journal).unwrap();
        let kept: Vec<&str> = text
            .lines()
            .take_while(|line| !line.contains("\"step\":\"snapshot\""))
            .collect();
        fs::write(&journal, kept.join("\n") + "\n").unwrap();
        fs::remove_file(&sealed).unwrap();
        let ran = lab.at(THIRD, &["apply"]).expect(0);
        assert_eq!(lab.runs().pop().unwrap(), id, "{ran}");
        lab.backup(FOURTH);
    };
    let accepted = |lab: &Lab| {
        fs::remove_file(&sealed).unwrap();
        lab.run(&["accept", &id_of(FIRST)]).expect(0);
    };
    let ways: [&dyn Fn(&Lab); 2] = [&unfinished, &accepted];
    for before in ways {
        before(&lab);
        let (tool, target) = (lab.text("home/ann/tool"), lab.text("back"));
        lab.run(&["restore", &id_of(SECOND), &tool, &target])
            .expect(0);
        let mode = fs::metadata(&target).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o4755);
        fs::remove_file(&target).unwrap();
    }
}

#[test]
fn a_snapshot_that_was_changed_with_its_records_is_noticed_and_is_no_basis() {
    let lab = nights(&[FIRST, SECOND]);
    let id = id_of(SECOND);
    lab.run(&["verify", "--all"]).expect(0);
    tamper(&lab, SECOND);
    // Who only looks is told at once, and it is remembered since when.
    lab.at(THIRD, &["status"])
        .says(&id)
        .says("somebody changed it");
    let plan = lab.at(THIRD, &["plan", "--json"]).expect(0);
    assert!(codes(&plan).contains(&CHANGED.to_owned()));
    let found = lab.run(&["--json", "verify", &id]).expect(3);
    let kinds: Vec<_> = damage(&found).into_iter().map(|(kind, ..)| kind).collect();
    assert_eq!(kinds, ["changed"]);
    lab.run(&["verify", &id])
        .expect(3)
        .says("first noticed on 20")
        .hints(&format!("backup accept {id}"));
    let health = lab.run(&["health", "--quick", "--json"]);
    assert!(codes(&health).contains(&CHANGED.to_owned()));
    lab.run(&["health", "--quick"]).says("first noticed on 20");

    // The next backup is linked to the one before, and equal to the source.
    let report = lab.at(THIRD, &["apply", "--json"]).expect(0).json();
    assert_eq!(report["result"], "success");
    assert_eq!(lab.record(&id_of(THIRD))["basis"], *id_of(FIRST));
    assert_eq!(
        fs::read(stored(&lab, THIRD, VICTIM)).unwrap(),
        fs::read(lab.path(VICTIM)).unwrap()
    );
    // Making its records anew would make the truth of it.
    lab.run(&["verify", "--repair", &id]).expect(3);
    assert!(codes(&lab.at(FOURTH, &["plan", "--json"])).contains(&CHANGED.to_owned()));
    // A restore says what it gives.
    lab.run(&["restore", &id, &lab.text(VICTIM), &lab.text("back")])
        .expect(3)
        .says("nothing vouches");
    // One command ends it.
    lab.run(&["delete", "--yes", &id]).expect(0);
    assert!(!codes(&lab.at(FOURTH, &["plan", "--json"])).contains(&CHANGED.to_owned()));
    lab.run(&["verify", "--all", "--repair"]).expect(0);
    lab.run(&["verify", "--against-state"]).expect(0);
}

#[test]
fn a_run_that_notices_first_says_so_once() {
    let lab = nights(&[FIRST, SECOND]);
    tamper(&lab, SECOND);
    let first = lab.at(THIRD, &["apply", "--json"]).expect(3).json();
    assert_eq!(first["result"], "incomplete");
    let changed = |report: &Value| {
        let findings = report["findings"].as_array().unwrap();
        let mut all = findings.iter();
        let found = all.find(|one| one["code"] == CHANGED).unwrap();
        found["severity"].as_str().unwrap().to_owned()
    };
    assert_eq!(changed(&first), "warning");
    // Its letter is that of the snapshot before, too, and is not what any new one gets.
    lab.at(THIRD, &["status"]).says("somebody changed it");
    for night in [FIRST, SECOND] {
        assert_eq!(
            fs::read(stored(&lab, night, VICTIM)).unwrap(),
            forged(&lab, night)
        );
    }
    let second = lab.at(FOURTH, &["apply", "--json"]).expect(0).json();
    for night in [THIRD, FOURTH] {
        assert_eq!(
            fs::read(stored(&lab, night, VICTIM)).unwrap(),
            fs::read(lab.path(VICTIM)).unwrap()
        );
    }
    let plan = lab.at(FOURTH, &["plan", "--json"]).json();
    assert_eq!(
        (second["result"].as_str(), changed(&plan)),
        (Some("success"), "note".to_owned())
    );
}

#[test]
fn what_a_person_accepts_is_what_was_sealed_from_then_on() {
    let lab = nights(&[FIRST, SECOND]);
    let id = id_of(SECOND);
    tamper(&lab, SECOND);
    let foretold = lab.run(&["accept", &id, "--dry-run"]).expect(0);
    let done = lab.run(&["accept", &id]).expect(0).says("manifest");
    assert!(foretold.stdout.starts_with(&done.stderr), "{foretold}");
    let ran = lab
        .run(&["--json", "verify", "--quick", "--against-state"])
        .expect(0);
    assert_eq!(ran.json()["against_state"]["same"], 2);
    lab.backup(THIRD);
    assert_eq!(lab.record(&id_of(THIRD))["basis"], *id);
}

#[test]
fn what_the_program_itself_changes_is_kept() {
    let lab = nights(&[FIRST, SECOND]);
    // A manifest that is made anew, and one whose record is gone.
    test_support::flip_byte(&manifest(&lab, SECOND));
    lab.run(&["verify", "--repair", &id_of(SECOND)]).expect(0);
    fs::remove_file(records(&lab, FIRST).join("snapshot.json")).unwrap();
    lab.run(&["verify", "--repair", &id_of(FIRST)]).expect(0);
    lab.run(&["pin", &id_of(SECOND)]).expect(0);
    lab.write("mnt/old/2024-01-01/letter", "old\n");
    let (old, home) = (lab.text("mnt/old"), lab.text("home"));
    lab.run(&["adopt", "--yes", &old, "--at", &home]).expect(0);
    let json = lab
        .run(&["--json", "verify", "--against-state"])
        .expect(0)
        .json();
    let compared = &json["against_state"];
    assert_eq!(compared["same"], 3, "{compared}");
    for what in ["taken_over", "changed", "unknown", "gone"] {
        assert_eq!(compared[what], serde_json::json!([]), "{what}");
    }
}

#[test]
fn a_state_directory_that_is_lost_stops_nothing_and_is_said_once() {
    let lab = nights(&[FIRST, SECOND]);
    fs::remove_file(lab.path("state/sealed.json")).unwrap();
    lab.run(&["verify", "--against-state"])
        .expect(4)
        .says("keeps no digests");
    let said = "knew nothing of the manifests of 2 snapshots";
    lab.at(THIRD, &["apply"]).expect(0);
    lab.at(FOURTH, &["apply"]).expect(0);
    let log = fs::read_dir(lab.path("log")).unwrap();
    let log: String = log
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap_or_default())
        .collect();
    assert_eq!(log.matches(said).count(), 1, "{log}");
    let json = lab
        .run(&["--json", "verify", "--against-state"])
        .expect(0)
        .json();
    let compared = &json["against_state"];
    assert_eq!(compared["same"], 2, "{compared}");
    assert_eq!(
        compared["taken_over"],
        serde_json::json!([id_of(FIRST), id_of(SECOND)])
    );
}

#[test]
fn what_is_gone_or_was_put_onto_a_disk_elsewhere_is_named() {
    let lab = nights(&[FIRST, SECOND, THIRD]);
    lab.run(&["verify", "--against-state"])
        .expect(0)
        .says("3 snapshots have the manifest");
    // A snapshot under a name of its own, and one that is gone.
    let (known, put) = (id_of(SECOND), "2025-03-06_22-00-00");
    call_otherwise(&lab, SECOND, put);
    let ran = lab
        .run(&["--json", "verify", "--quick", "--against-state"])
        .expect(3);
    let compared = &ran.json()["against_state"];
    assert_eq!(compared["unknown"], serde_json::json!([put]));
    assert_eq!(compared["gone"], serde_json::json!([known]));
    lab.run(&["verify", "--quick", "--against-state"])
        .expect(3)
        .says("gone from the disk")
        .says("nothing is known of it here");
}

#[test]
fn a_disk_that_was_given_the_id_of_another_known_one_is_not_believed() {
    let mut lab = nights(&[FIRST, SECOND]);
    fs::create_dir(lab.path("other")).unwrap();
    lab.set("local.mountPoint", lab.text("other"));
    lab.run(&["init"]).expect(0);
    lab.backup(THIRD);
    let record = |disk: &str| {
        let path = lab.path(disk).join(HOST);
        path.join(".backup/destination.json")
    };
    let other = read_json(&record("other"))["id"].clone();
    let path = record("mnt");
    let mut of_disk = read_json(&path);
    of_disk["id"] = other;
    fs::write(path, serde_json::to_vec(&of_disk).unwrap()).unwrap();
    lab.set("local.mountPoint", lab.text("mnt"));

    // That alone says nothing against its snapshots: so is a copy of a disk.
    let compared = |code: i32| {
        let words = ["--json", "verify", "--quick", "--against-state"];
        lab.run(&words).expect(code).json()["against_state"].take()
    };
    let found = compared(3);
    assert_eq!(
        (&found["same"], &found["gone"]),
        (&2.into(), &serde_json::json!([id_of(THIRD)]))
    );
    let id = id_of(SECOND);
    tamper(&lab, SECOND);
    let plan = lab.at(FOURTH, &["plan", "--json"]).expect(0);
    assert!(codes(&plan).contains(&CHANGED.to_owned()));
    assert_eq!(compared(3)["changed"], serde_json::json!([id]));
    lab.run(&["verify", "--quick", &id])
        .expect(3)
        .says("first noticed on 20");
    lab.at(FOURTH, &["apply", "--json"]);
    assert_eq!(lab.record(&id_of(FOURTH))["basis"], *id_of(FIRST));
    // What a run saw is no less changed for that, until a person accepts it.
    assert_eq!(compared(3)["changed"], serde_json::json!([id]));
    lab.run(&["accept", &id]).expect(0);
    let found = compared(3);
    assert_eq!(
        (&found["same"], &found["changed"]),
        (&3.into(), &serde_json::json!([]))
    );
    assert_eq!(found["taken_over"], serde_json::json!([]));
}

#[test]
fn a_machine_that_lost_its_state_directory_is_told_by_the_cloud_what_it_sealed() {
    let name = "a_machine_that_lost_its_state_directory";
    for lost in ["state", "state/sealed.json"] {
        let Some((lab, _)) = cloud::lab(name) else {
            return;
        };
        for night in [FIRST, SECOND] {
            lab.backup(night);
        }
        let (first, second) = (id_of(FIRST), id_of(SECOND));
        tamper(&lab, SECOND);
        match lost {
            "state" => fs::remove_dir_all(lab.path(lost)).unwrap(),
            _ => fs::remove_file(lab.path(lost)).unwrap(),
        }
        let compared = |options: &[&str], code: i32| {
            let words = ["--json", "verify", "--quick", "--against-state"];
            let ran = lab.run(&[&words, options].concat()).expect(code);
            ran.json()["against_state"].take()
        };
        if lost == "state" {
            lab.run(&["verify", "--against-state"])
                .expect(4)
                .hints("--cloud");
            // A run that knows nothing takes over what is there; that proves nothing.
            lab.at(THIRD, &["apply"]);
            let found = compared(&[], 0);
            assert_eq!(found["taken_over"], serde_json::json!([first, second]));
        } else {
            // The newest upload is remembered without asking.
            let found = compared(&[], 3);
            assert_eq!(found["changed"], serde_json::json!([second]));
            assert_eq!(found["unknown"], serde_json::json!([first]));
            fs::remove_file(lab.path(lost)).unwrap();
        }
        let found = compared(&["--cloud"], 3);
        assert_eq!(found["changed"], serde_json::json!([second]));
        assert_eq!(found["from_cloud"], serde_json::json!([first, second]));
        for what in ["taken_over", "unknown", "gone"] {
            assert_eq!(found[what], serde_json::json!([]), "{what}");
        }
        // It is known from then on.
        assert_eq!(compared(&[], 3)["changed"], serde_json::json!([second]));
        let plan = lab.at(FOURTH, &["plan", "--json"]).expect(0);
        assert!(codes(&plan).contains(&CHANGED.to_owned()));
    }
}
