//! The step that uploads: which snapshot it takes.

use std::{fs, path::Path};

use executor::{
    cloud::{fetch::WantedFiles, memory::RemoteCache},
    event::Context,
    state_dir::StateDir,
    steps::{feed::OpenFeed, upload::run_upload_step},
    store::Store,
};
use schema::{
    Plan,
    journal::{Outcome, Status},
    plan::UploadStep,
    record::SnapshotMarks,
};
use serde_json::{Value, json};

use crate::{
    lab::{HOST, Lab, contents, dir, id},
    uploads::fill,
};

fn plan() -> Plan {
    serde_json::from_value(json!({
        "format_version": 1, "run_id": "r", "created_at": "2025-03-05T02:00:00Z", "host": HOST,
        "bound_to": {"config": "00".repeat(32), "destination": "00".repeat(32),
            "destination_id": null, "snapshots": []},
        "findings": [], "steps": [],
        "totals": {"copy_files": 0, "copy_bytes": 0, "link_files": 0, "deletions": 0,
            "freed_bytes": 0, "kept": 0},
        "digest": "00".repeat(32),
    }))
    .unwrap()
}

fn step(lab: &Lab, from: &[Value], live: Option<Value>) -> UploadStep {
    let mut step = json!({
        "call": {
            "program": lab.path("bin/rclone"), "options": [], "remote": lab.remote, "folder": HOST,
            "config_file": null, "timeout": "1h",
        },
        "snapshot": "2025-03-05_02-00-00",
        "may_delete": true, "from": from,
    });
    if let Some(live) = live {
        step["live"] = live;
    }
    serde_json::from_value(step).unwrap()
}

fn feed(lab: &Lab, of: &str, snapshot: u32, last: u32) -> Value {
    json!({
        "of": of, "snapshot": id(snapshot), "last": id(last),
        "destination": {
            "mount_point": lab.path("disk"), "folder": HOST, "require_mount": false,
            "file_system_uuid": null, "destination_id": of, "create": false, "remember": false,
            "read_only": true, "need_hard_links": false, "readable_by_users": false,
        },
    })
}

fn store(lab: &Lab) -> Store {
    let disk = lab.path("disk");
    Store::open(&dir(&disk), disk.to_str().unwrap(), HOST)
        .unwrap()
        .unwrap()
}

fn run(lab: &Lab, step: &UploadStep, stores: &[&Store]) -> Outcome {
    let state = StateDir::open_or_new(&lab.path("state")).unwrap();
    let feeds = step.from.iter().zip(stores);
    let feeds: Vec<OpenFeed<'_>> = feeds
        .map(|(feed, store)| OpenFeed { feed, store })
        .collect();
    let context = Context::silent(&lab.stop);
    run_upload_step(&feeds, &state, &plan(), "upload", step, context).unwrap()
}

fn suspect(lab: &Lab, day: u32) {
    let file = lab.path(&format!(
        "disk/{HOST}/.backup/snapshots/{}/snapshot.json",
        id(day)
    ));
    let mut record: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    record["suspect"] = json!(["half of it is gone"]);
    fs::write(file, record.to_string()).unwrap();
}

#[test]
fn the_first_disk_with_a_good_snapshot_of_this_run_serves_and_else_an_earlier_one() {
    let Some(lab) = Lab::new("steps") else {
        return;
    };
    for day in [1, 2, 3] {
        fill(&lab, day);
        lab.write(day, "home/day", format!("{day}\n"));
        lab.seal(day);
    }
    let store = store(&lab);
    let both = step(
        &lab,
        &[feed(&lab, "local", 9, 1), feed(&lab, "usb", 2, 1)],
        None,
    );
    let outcome = run(&lab, &both, &[&store, &store]);
    assert_eq!(outcome.status, Status::Succeeded, "{outcome:?}");
    assert!(
        outcome.message.starts_with(&id(2).to_string()),
        "{}",
        outcome.message
    );
    // What is suspect is not taken, until a person says that it is as it should be.
    suspect(&lab, 3);
    let newest = step(&lab, &[feed(&lab, "local", 3, 1)], None);
    let outcome = run(&lab, &newest, &[&store]);
    assert!(
        outcome.message.starts_with(&id(1).to_string()),
        "{}",
        outcome.message
    );
    suspect(&lab, 1);
    let outcome = run(&lab, &newest, &[&store]);
    assert_eq!(outcome.status, Status::Incomplete);
    assert!(
        outcome
            .message
            .contains("no destination that is there has a good snapshot")
    );
    let marks = lab.path(&format!(
        "disk/{HOST}/.backup/snapshots/{}/marks.json",
        id(3)
    ));
    fs::write(marks, r#"{"accepted": true}"#).unwrap();
    let outcome = run(&lab, &newest, &[&store]);
    assert!(
        outcome.message.starts_with(&id(3).to_string()),
        "{}",
        outcome.message
    );
    let outcome = run(&lab, &newest, &[]);
    assert!(outcome.message.contains("is there"), "{}", outcome.message);
    assert!(outcome.hint.is_some());
    assert_eq!(outcome.status, Status::Incomplete);
}

#[test]
fn live_sources_are_uploaded_where_no_disk_serves() {
    let Some(lab) = Lab::new("steps") else {
        return;
    };
    let source = lab.path("source");
    fs::create_dir_all(source.join("ann")).unwrap();
    for number in 0..5 {
        fs::write(
            source.join(format!("ann/{number}")),
            format!("{}\n", number / 2),
        )
        .unwrap();
    }
    let live = json!({"sources": [source], "exclude_patterns": ["4"], "one_file_system": false});
    let live = step(&lab, &[feed(&lab, "local", 1, 1)], Some(live));
    let outcome = run(&lab, &live, &[]);
    assert_eq!(outcome.status, Status::Succeeded, "{outcome:?}");
    assert!(
        outcome.message.contains("2 new contents"),
        "{}",
        outcome.message
    );
    // Nothing changed: no content is put, whatever what is new only to the clock is called.
    let outcome = run(&lab, &live, &[]);
    assert_eq!(outcome.status, Status::Succeeded, "{outcome:?}");
    assert!(
        ["has nothing that", "0 new contents"]
            .iter()
            .any(|said| outcome.message.contains(said)),
        "{}",
        outcome.message
    );
    fs::write(source.join("ann/new"), "new\n").unwrap();
    let outcome = run(&lab, &live, &[]);
    assert!(
        outcome.message.contains("1 new content "),
        "{}",
        outcome.message
    );
    // By a machine that knows nothing of it.
    let into = lab.path("into");
    fs::create_dir_all(&into).unwrap();
    let wanted = WantedFiles {
        remote: &lab.remote,
        host: HOST,
        id: None,
        paths: &[schema::StoredPathBuf::new()],
    };
    let (open, named) = (dir(&into), into.to_str().unwrap());
    let brought = lab
        .with(|remote| remote.fetch_files((&open, named), &wanted))
        .unwrap();
    assert_eq!((brought.files, brought.missing), (5, 0));
    let tree = into.join(HOST).join("daily").join(brought.id.to_string());
    let there = tree.join(source.strip_prefix("/").unwrap());
    let mut expected = contents(&source);
    expected.remove(Path::new("ann/4"));
    assert_eq!(contents(&there), expected);
    // What is remembered says so, too.
    let state = StateDir::open_or_new(&lab.path("state")).unwrap();
    assert!(RemoteCache::open(&state, &lab.remote).unwrap().is_some());
    let memory = executor::cloud::remote_history::recall_history(&state, &lab.remote).unwrap();
    // What was written just before the first upload is compared once more, and may be a snapshot of its own.
    assert!((2..=3).contains(&memory.known.len()));
    assert_eq!(memory.last.unwrap().files, 5);
}

/// A step that may upload a folder of many files as it is, and the folder.
fn live_of_many(lab: &Lab, from: &[Value]) -> (UploadStep, std::path::PathBuf) {
    let source = lab.path("source");
    fs::create_dir_all(&source).unwrap();
    for number in 0..30 {
        fs::write(source.join(number.to_string()), format!("{number}\n")).unwrap();
    }
    let live = json!({"sources": [source], "exclude_patterns": [], "one_file_system": false});
    (step(lab, from, Some(live)), source)
}

#[test]
fn a_disk_that_makes_no_new_snapshot_keeps_nothing_from_going_up() {
    let Some(lab) = Lab::new("steps") else {
        return;
    };
    fill(&lab, 1);
    lab.seal(1);
    // Asked for alone: what the disk has and the remote has not.
    let mut made_before = feed(&lab, "local", 9, 1);
    made_before["snapshot"] = Value::Null;
    let (alone, _) = live_of_many(&lab, &[made_before]);
    let outcome = run(&lab, &alone, &[&store(&lab)]);
    assert_eq!(outcome.status, Status::Succeeded, "{outcome:?}");
    assert!(outcome.message.starts_with(&id(1).to_string()));
    // Then the sources: by now they may have what no disk has.
    let outcome = run(&lab, &alone, &[&store(&lab)]);
    assert_eq!(outcome.status, Status::Succeeded, "{outcome:?}");
    let said = "30 new contents";
    assert!(outcome.message.contains(said), "{}", outcome.message);
    assert!(
        outcome.message.ends_with("since local has no new snapshot"),
        "{}",
        outcome.message
    );
    // So they do where the disk was to make one in this run and failed.
    let (failed, source) = live_of_many(&lab, &[feed(&lab, "local", 9, 1)]);
    fs::write(source.join("new"), "new\n").unwrap();
    let outcome = run(&lab, &failed, &[&store(&lab)]);
    assert_eq!(outcome.status, Status::Succeeded, "{outcome:?}");
    let said = "1 new content ";
    assert!(outcome.message.contains(said), "{}", outcome.message);
    // What is suspect on the disk does not go up by another way.
    fill(&lab, 9);
    lab.seal(9);
    suspect(&lab, 9);
    fs::write(source.join("newer"), "newer\n").unwrap();
    let outcome = run(&lab, &failed, &[&store(&lab)]);
    assert_eq!(outcome.status, Status::Incomplete, "{outcome:?}");
    let said = "the new one of local is suspect";
    assert!(outcome.message.contains(said), "{}", outcome.message);
}

#[test]
fn live_sources_that_look_damaged_go_up_as_suspect_and_nothing_is_let_go() {
    let Some(lab) = Lab::new("steps") else {
        return;
    };
    let (live, source) = live_of_many(&lab, &[]);
    let first = run(&lab, &live, &[]).sealed.unwrap();
    assert!(first.suspect.is_empty());
    for number in 5..30 {
        fs::remove_file(source.join(number.to_string())).unwrap();
    }
    let outcome = run(&lab, &live, &[]);
    assert_eq!(outcome.status, Status::Incomplete, "{outcome:?}");
    let suspect = outcome.sealed.unwrap();
    assert_eq!(
        suspect.suspect,
        ["there are 5 files, less than half of the 30 of the last upload"]
    );
    let hint = format!("`backup accept {}`", suspect.id);
    assert!(outcome.hint.unwrap().ends_with(&hint));
    // The next one is the same event.
    fs::write(source.join("new"), "new\n").unwrap();
    let outcome = run(&lab, &live, &[]);
    let like = format!("is suspect as {} is", suspect.id);
    assert!(outcome.message.contains(&like), "{}", outcome.message);
    let expire = || lab.expire_these(&[first.id], &[]).unwrap().message;
    let settled_at = || lab.with(|remote| remote.memory().settled_at);
    let said = expire();
    assert!(said.contains("nothing is let go"), "{said}");
    assert!(settled_at().is_none());
    // Once a person has looked, it is what later ones are judged by.
    let newest = outcome.sealed.unwrap().id;
    for id in [suspect.id, newest] {
        lab.with(|remote| {
            let known = remote.refresh()?;
            let accepted = SnapshotMarks {
                accepted: true,
                ..Default::default()
            };
            remote.mark(&known, id, &accepted)
        })
        .unwrap();
    }
    let said = expire();
    assert!(said.contains("1 snapshot is let go"), "{said}");
    assert!(settled_at().is_some());
    fs::write(source.join("newer"), "newer\n").unwrap();
    let outcome = run(&lab, &live, &[]);
    assert_eq!(outcome.status, Status::Succeeded, "{outcome:?}");
}
