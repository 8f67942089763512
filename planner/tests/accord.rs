//! A plan from a file has nothing run that the configuration does not name: whatever of it is altered, and
//! whatever step is added or left out, is found, although the digest is right.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    dead_code
)]

#[path = "../../tests/plans/world.rs"]
mod world;

use planner::{
    Options,
    accord::{Present, find_difference, find_undue_deletion},
};
use schema::{
    Config, Digest, ExpireReason, Inventory, Plan, SnapshotId, Tier,
    plan::{Action, DeletePurpose, DeleteStep, Deletion, Part, Rotation, Step},
};
use serde_json::{Value, json};
use world::World;

const NOW: &str = "2025-03-05T02:00:00+01:00";

/// A machine with all that a configuration can have run.
fn full_world() -> World {
    let mut world = World::nightly("2025-03-01", 3);
    world.inventory.machine = Some(Digest::of(b"this machine"));
    world.config = json!({
        "hostname": "atlas",
        "preBackupScript": "/etc/backup/pre",
        "postBackupScript": "/etc/backup/post",
        "local": {
            "enable": true,
            "useRsync": true,
            "sources": ["/home"],
            "excludePatterns": ["*.tmp", "/home/*/x"],
            "fileSystemUUID": "6f1d1c1e-0c3b-8a55-9d0a-3f5c2f1b7a10",
        },
        "cloud": {
            "enable": true,
            "provider": "custom",
            "remote": "nas:",
            "configFile": "/etc/backup/rclone.conf",
            "bandwidthLimit": "10M",
        },
        "notifications": {
            "enable": true,
            "onSuccess": true,
            "command": "/etc/backup/tell",
            "email": {"to": "ann@example.org", "from": "root@example.org"},
            "ntfy": {"url": "https://ntfy.example.org", "topic": "t"},
            "healthcheck": {"url": "https://hc.example.org/x"},
        },
    });
    let found = world.inventory.destination.as_mut().unwrap();
    found.file_system_uuid = Some("6f1d1c1e-0c3b-8a55-9d0a-3f5c2f1b7a10".to_owned());
    world.inventory.rsync = Some(schema::rsync::RsyncFound {
        version: Some("3.4.1".to_owned()),
        fault: None,
    });
    world.inventory.sources[0].mounts_passed_over = vec!["ann/mnt".to_owned()];
    world
}

struct Case {
    config: Config,
    inventory: Inventory,
    plan: Plan,
}

fn planned(world: &World, only: Option<Part>) -> Case {
    let config: Config = serde_json::from_value(world.config.clone()).unwrap();
    let inventory = world.inventory.clone();
    let options = Options {
        only,
        ..Options::default()
    };
    let plan = planner::plan(&config, &inventory, &options);
    assert!(plan.does_something(), "{:#?}", plan.findings);
    Case {
        config,
        inventory,
        plan,
    }
}

impl Case {
    fn undue_deletion(&self, plan: &Plan) -> Option<String> {
        let present = Present {
            config: &self.config,
            host: &self.inventory.host,
            machine: self.inventory.machine,
            privileged: self.inventory.privileged,
        };
        let found = self.inventory.destination.as_ref().unwrap();
        find_undue_deletion(plan, &present, found)
    }

    fn difference(&self, plan: &Plan) -> Option<String> {
        let present = Present {
            config: &self.config,
            host: &self.inventory.host,
            machine: self.inventory.machine,
            privileged: self.inventory.privileged,
        };
        find_difference(plan, &present, true)
    }

    /// The difference of the plan with another value at a place in its JSON; none also where it would not
    /// even be a plan.
    fn altered(&self, pointer: &str, value: Value) -> Option<String> {
        let mut json = serde_json::to_value(&self.plan).unwrap();
        *json.pointer_mut(pointer).unwrap() = value;
        match serde_json::from_value(json) {
            Ok(plan) => self.difference(&plan),
            Err(_) => Some("no plan".to_owned()),
        }
    }
}

/// Every value below a value, with its place.
fn leaves(at: &str, value: &Value, all: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(key, below)| leaves(&format!("{at}/{key}"), below, all)),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .for_each(|(nr, below)| leaves(&format!("{at}/{nr}"), below, all)),
        leaf => all.push((at.to_owned(), leaf.clone())),
    }
}

/// Another value of the same type.
fn another(value: &Value) -> Value {
    match value {
        Value::Bool(is) => json!(!is),
        Value::Number(number) => json!(number.as_u64().unwrap_or(0) + 7),
        Value::String(text) => json!(format!("{text}x")),
        _ => json!("x"),
    }
}

/// Keys that say what the disks held then. The linter judges them.
const OF_DISKS: &[&str] = &[
    "needs",
    "after",
    "destination_id",
    "create",
    "remember",
    "empty_trash",
    "discard_partial",
    "clear_records",
    "needed_bytes",
    "needed_inodes",
    "basis",
    "also_link",
    "never_link",
    "compare_basis",
    "home",
    "continue_from",
    "expected",
    "suspect_when",
    "version",
    "last",
    "last_good",
    "guard",
    "expire",
    "present",
    "on_complete",
    "on_incomplete",
];

/// The id of a snapshot is the linter's as well; that of a step is not. What is mounted below a source is
/// left out besides what the configuration leaves out.
fn is_of_disks(place: &str, value: &Value) -> bool {
    let keys = || place.split('/');
    let of_snapshot = |key: &str| ["id", "snapshot"].contains(&key) && place.contains("/action/");
    keys().any(|key| OF_DISKS.contains(&key))
        || keys().next_back().is_some_and(of_snapshot)
        || value == "--exclude=/ann/mnt/*"
}

#[test]
fn whatever_does_not_hang_on_disks_is_compared() {
    let world = full_world();
    for only in [None, Some(Part::Local), Some(Part::Cloud)] {
        let case = planned(&world, only);
        assert_eq!(case.difference(&case.plan), None);
        let mut all = Vec::new();
        let json = serde_json::to_value(&case.plan).unwrap();
        leaves("/steps", &json["steps"], &mut all);
        let counting = all.iter().filter(|(at, value)| !is_of_disks(at, value));
        let mut count = 0;
        for (place, value) in counting {
            count += 1;
            let found = case.altered(place, another(value));
            assert!(found.is_some(), "{place}: {value} may be anything");
        }
        assert!(count > 10, "only {count} values are compared");
    }
}

#[test]
fn the_first_difference_is_named() {
    let case = planned(&full_world(), None);
    let at = |kind: &str| {
        let steps = case.plan.steps.iter();
        let mut of_kind = steps.enumerate().filter(|(_, step)| step.id == kind);
        of_kind.next().unwrap().0
    };
    let found = case.altered(
        &format!("/steps/{}/action/program", at("pre-script")),
        json!("/tmp/evil"),
    );
    assert_eq!(
        found.unwrap(),
        "step `pre-script` has program /tmp/evil, and the configuration gives /etc/backup/pre"
    );
    let found = case.altered("/host", json!("zeus")).unwrap();
    assert!(found.contains("has host zeus"), "{found}");
    for run in ["../../etc", "2025-03-05_02-00-00-0123456/", ""] {
        assert!(case.altered("/run_id", json!(run)).is_some(), "{run}");
    }
}

#[test]
fn arguments_of_rsync_are_those_of_the_configuration_but_for_what_more_is_left_out() {
    let case = planned(&full_world(), None);
    let steps = case.plan.steps.iter();
    let at = steps.enumerate().find(|(_, step)| step.id == "snapshot");
    let place = format!("/steps/{}/action/rsync/calls/0/arguments", at.unwrap().0);
    let json = serde_json::to_value(&case.plan).unwrap();
    let arguments = json.pointer(&place).unwrap().as_array().unwrap().clone();
    for (argument, is_found) in [
        ("--rsh=/tmp/evil", true),
        ("--rsync-path=/tmp/evil", true),
        ("--exclude=/ann/mnt2/*", false),
    ] {
        let mut more = arguments.clone();
        more.insert(0, json!(argument));
        let found = case.altered(&place, json!(more));
        assert_eq!(found.is_some(), is_found, "{argument}: {found:?}");
    }
}

#[test]
fn a_step_that_no_backup_has_and_one_that_is_left_out_are_found() {
    let case = planned(&full_world(), None);
    for kind in ["announce", "pre-script", "post-script", "notify"] {
        let mut plan = case.plan.clone();
        plan.steps.retain(|step| step.id != kind);
        let found = case.difference(&plan).unwrap();
        assert!(
            found.contains(&format!("asks for a step `{kind}`")),
            "{found}"
        );
    }
    let mut plan = case.plan.clone();
    let mut restore = plan.steps[0].clone();
    restore.id = "mark".to_owned();
    restore.action = serde_json::from_value(json!({
        "kind": "mark", "say": "accept", "id": "2025-03-01_02-00-00",
    }))
    .unwrap();
    plan.steps.push(restore);
    let found = case.difference(&plan).unwrap();
    assert_eq!(found, "the configuration asks for no step `mark`");
}

#[test]
fn live_sources_in_the_cloud_are_the_configured_ones() {
    let mut world = full_world();
    let found = world.inventory.destination.as_mut().unwrap();
    found.mounted = false;
    found.present = false;
    // With a script that may bring the destination no more than the script is planned.
    let case = planned(&world, None);
    assert!(case.plan.steps.iter().all(|step| step.id != "cloud-sync"));
    assert_eq!(case.difference(&case.plan), None);

    world.config["preBackupScript"] = Value::Null;
    let case = planned(&world, None);
    assert_eq!(case.difference(&case.plan), None);
    let at = case
        .plan
        .steps
        .iter()
        .position(|step| step.id == "cloud-sync");
    let place = format!("/steps/{}/action/live/sources/0", at.unwrap());
    assert!(case.altered(&place, json!("/root")).is_some());
    let place = format!("/steps/{}/action/remote", at.unwrap());
    assert!(case.altered(&place, json!("evil:/atlas")).is_some());
}

fn deletion(id: SnapshotId, home: Tier) -> Deletion {
    Deletion {
        id,
        home,
        reason: ExpireReason::Oldest,
        frees: 0,
        lost: None,
    }
}

fn delete_step(purpose: DeletePurpose, deletions: Vec<Deletion>) -> Step {
    Step {
        id: purpose.word().to_owned(),
        of: None,
        needs: vec!["destination-check".to_owned()],
        after: Vec::new(),
        action: Action::Delete(DeleteStep {
            purpose,
            rotation: Rotation {
                deletions,
                ..Rotation::default()
            },
        }),
    }
}

#[test]
fn a_deletion_that_the_rules_do_not_give_is_found_wherever_it_stands() {
    // So many nights that some go.
    let world = World::nightly("2025-02-20", 14);
    let case = planned(&world, None);
    assert_eq!(case.undue_deletion(&case.plan), None);
    let rotate = |plan: &Plan| match &plan.steps.iter().find(|step| step.id == "rotate") {
        Some(Step {
            action: Action::Rotate(step),
            ..
        }) => step.on_complete.clone(),
        _ => panic!("no rotation"),
    };
    let rotation = rotate(&case.plan);
    assert!(!rotation.deletions.is_empty() && rotation.keep.len() > 3);
    let own = case.plan.snapshot().unwrap().id;
    let kept = rotation.keep.iter().filter(|kept| kept.id != own);
    for kept in kept {
        let undue = deletion(kept.id, kept.home);
        let mut forged = Vec::new();
        for on_complete in [true, false] {
            let mut plan = case.plan.clone();
            for step in &mut plan.steps {
                let Action::Rotate(step) = &mut step.action else {
                    continue;
                };
                if on_complete {
                    step.on_complete.deletions.push(undue.clone());
                } else {
                    let mut other = step.on_complete.clone();
                    other.deletions.push(undue.clone());
                    step.on_incomplete = Some(Box::new(other));
                }
            }
            forged.push(plan);
        }
        for purpose in [
            DeletePurpose::MakeRoom,
            DeletePurpose::Prune,
            DeletePurpose::Delete,
        ] {
            let mut plan = case.plan.clone();
            let step = delete_step(purpose, vec![undue.clone()]);
            plan.steps.insert(1, step);
            forged.push(plan);
        }
        for plan in forged {
            let told = case.undue_deletion(&plan).expect("found");
            assert!(told.contains(&format!("would delete {}/{}", kept.home, kept.id)));
        }
    }
    // What is gone already, because the run had begun, is nothing that it would delete.
    let mut plan = case.plan.clone();
    let gone = deletion("2020-01-01_02-00-00".parse().unwrap(), Tier::Daily);
    plan.steps
        .push(delete_step(DeletePurpose::Delete, vec![gone]));
    assert_eq!(case.undue_deletion(&plan), None);
}
