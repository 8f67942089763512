//! A plan that breaks a law has no effect, whoever made it and however it is run.

use std::fs;

use schema::{
    SnapshotId,
    plan::{Action, Deletion, SavedPlan},
};

use crate::lab::{Lab, Ran, everything_below, id_of};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";
const LATER: &str = "2025-03-06T04:00:00+01:00";

/// A lab whose next run deletes the snapshot of the first night.
fn lab() -> Lab {
    let mut lab = Lab::new();
    lab.set("local.keepDaily", 1);
    lab.set("local.keepWeekly", 0);
    lab.set("local.keepMonthly", 0);
    lab
}

/// Saves a plan of the second night, as a program with a fault might have made it.
fn save(lab: &Lab, change: impl FnOnce(&mut Action)) {
    lab.at(SECOND, &["plan", "--out", "plan.json"]).expect(0);
    let path = lab.path("plan.json");
    let mut saved: SavedPlan = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let mut steps = saved.plan.steps.iter_mut();
    let rotate = |action: &Action| matches!(action, Action::Rotate(_));
    change(&mut steps.find(|step| rotate(&step.action)).unwrap().action);
    saved.plan.digest = saved.plan.expected_digest();
    fs::write(&path, serde_json::to_vec(&saved).unwrap()).unwrap();
}

/// Applies the saved plan, which must be refused with nothing changed.
#[track_caller]
fn refused(lab: &Lab, arguments: &[&str]) -> Ran {
    let before = everything_below(&lab.path("mnt"));
    let runs = lab.runs();
    let told = lab.at(SECOND, arguments).expect(4);
    assert_eq!(everything_below(&lab.path("mnt")), before);
    assert_eq!(lab.runs(), runs);
    told
}

#[test]
fn a_saved_plan_that_deletes_a_pinned_snapshot_is_refused() {
    let lab = lab();
    lab.backup(FIRST);
    let first: SnapshotId = id_of(FIRST).parse().unwrap();
    let mut deletions: Vec<Deletion> = Vec::new();
    save(&lab, |action| {
        if let Action::Rotate(rotate) = action {
            deletions.clone_from(&rotate.on_complete.deletions);
        }
    });
    assert_eq!(deletions[0].id, first);
    lab.run(&["pin", &first.to_string()]).expect(0);
    save(&lab, |action| {
        if let Action::Rotate(rotate) = action {
            rotate.on_complete.keep.retain(|kept| kept.id != first);
            rotate.on_complete.deletions = deletions;
        }
    });
    let told = format!("step `rotate` would delete daily/{first}, which is pinned");
    refused(&lab, &["apply", "plan.json"])
        .says("the plan breaks a law: nothing was changed")
        .says(&told)
        .hints("please report it");
    let report = refused(&lab, &["apply", "plan.json", "--json"]).json();
    assert_eq!(report["result"], "refused");
    assert_eq!(report["findings"][0]["code"], "plan-touches-protected");
    assert_eq!(report["findings"][0]["message"], told);
}

#[test]
fn a_saved_plan_that_links_out_of_the_destination_is_refused() {
    let lab = lab();
    save(&lab, |action| {
        if let Action::Rotate(rotate) = action {
            rotate.on_complete.latest = Some("../../etc".to_owned());
        }
    });
    refused(&lab, &["apply", "plan.json"])
        .says("step `rotate` would point `latest` to `../../etc`")
        .hints("please report it");
}

#[test]
fn an_interrupted_run_does_not_delete_what_was_pinned_meanwhile() {
    let mut lab = lab();
    lab.backup(FIRST);
    let marker = lab.text("killed");
    let body = format!("[ -e {marker} ] || {{ touch {marker}; kill -KILL $PPID; }}");
    let script = lab.script("pre", &body);
    lab.set("preBackupScript", script);
    lab.at(SECOND, &["apply"]).expect(128 + 9);
    let first = id_of(FIRST);
    lab.run(&["pin", &first]).expect(0);
    let told =
        format!("is not continued: step `rotate` would delete daily/{first}, which is pinned");
    lab.at(LATER, &["apply"]).expect(0).says(&told);
    assert_eq!(lab.ids(), [first, id_of(LATER)]);
}
