//! A plan that was saved is run exactly as it is, or not at all.

use std::{fs, os::unix::fs::PermissionsExt as _};

use schema::plan::SavedPlan;
use serde_json::Value;

use crate::lab::{HOST, Lab, Ran, everything_below, finding_codes, id_of, read_json};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const LATER: &str = "2025-03-05T09:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";

fn save(lab: &Lab, now: &str) {
    lab.at(now, &["plan", "--out", "plan.json"]).expect(0);
}

/// Applies the saved plan, which must be refused with nothing changed; gives the codes.
fn refused(lab: &Lab, now: &str) -> Vec<(String, String)> {
    let before = everything_below(&lab.path("mnt"));
    let runs = lab.runs();
    let told = lab.at(now, &["apply", "plan.json", "--json"]).expect(4);
    assert_eq!(everything_below(&lab.path("mnt")), before);
    assert_eq!(lab.runs(), runs);
    lab.at(now, &["apply", "plan.json"])
        .expect(4)
        .says("stale")
        .says("nothing was changed")
        .hints("");
    let findings = told.json();
    let text = |of: &Value, key: &str| of[key].as_str().unwrap().to_owned();
    let findings = findings["findings"].as_array().unwrap().iter();
    findings
        .map(|one| (text(one, "code"), text(one, "message")))
        .collect()
}

fn mentions(findings: &[(String, String)], code: &str, text: &str) {
    let found = findings
        .iter()
        .any(|(one, message)| one == code && message.contains(text));
    assert!(found, "no {code} with `{text}` in {findings:#?}");
}

#[test]
fn a_saved_plan_is_run_as_it_is() {
    let lab = Lab::new();
    save(&lab, FIRST);
    let mode = fs::metadata(lab.path("plan.json")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    let plan = read_json(&lab.path("plan.json"));
    assert!(!lab.path("state").exists());

    // What came to the sources since is backed up; the name and the time are the plan's.
    lab.write("home/ann/since", "since\n");
    let report = lab.at(LATER, &["apply", "plan.json", "--json"]).expect(0);
    let report = report.json();
    assert_eq!(report["run_id"], plan["plan"]["run_id"]);
    assert_eq!(report["snapshot"]["id"], *id_of(FIRST));
    assert!(lab.inside("latest", "home/ann/since").exists());
}

#[test]
fn a_plan_cannot_be_run_twice() {
    let lab = Lab::new();
    save(&lab, FIRST);
    lab.at(LATER, &["apply", "plan.json"]).expect(0);
    let why = refused(&lab, LATER);
    let snapshot = format!("monthly/{} is new", id_of(FIRST));
    mentions(&why, "snapshots-changed", &snapshot);
    mentions(&why, "destination-changed", "a new one");
}

#[test]
fn a_snapshot_that_was_made_since_makes_a_plan_stale() {
    let lab = Lab::new();
    lab.backup(FIRST);
    save(&lab, SECOND);
    lab.backup(LATER);
    let why = refused(&lab, SECOND);
    mentions(
        &why,
        "snapshots-changed",
        &format!("{} is new", id_of(LATER)),
    );
    mentions(
        &why,
        "snapshots-changed",
        &format!("{} is gone", id_of(FIRST)),
    );
}

#[test]
fn a_changed_configuration_makes_a_plan_stale_and_the_key_is_named() {
    let mut lab = Lab::new();
    save(&lab, FIRST);
    lab.set("local.keepWeekly", 9);
    let why = refused(&lab, LATER);
    mentions(&why, "config-changed", "local.keepWeekly was 4 and is 9");
    assert_eq!(why.len(), 1, "{why:#?}");
    lab.set("local.keepWeekly", 4);
    lab.at(LATER, &["apply", "plan.json"]).expect(0);
}

#[test]
fn a_plan_that_was_edited_is_refused() {
    let lab = Lab::new();
    save(&lab, FIRST);
    let path = lab.path("plan.json");
    let original = read_json(&path);
    for (pointer, value) in [
        ("/plan/totals/deletions", 7.into()),
        ("/plan/host", "zeus".into()),
        ("/config/local/keepDaily", 1.into()),
    ] {
        let mut edited = original.clone();
        *edited.pointer_mut(pointer).unwrap() = value;
        fs::write(&path, edited.to_string()).unwrap();
        let why = refused(&lab, LATER);
        mentions(&why, "plan-altered", "altered");
    }
}

#[test]
fn a_plan_of_another_host_is_refused() {
    let mut lab = Lab::new();
    lab.set("hostname", "zeus");
    save(&lab, FIRST);
    lab.set("hostname", HOST);
    let why = refused(&lab, LATER);
    mentions(
        &why,
        "plan-of-another-host",
        "the plan is for zeus, and this is atlas",
    );

    // Even one whose digests are right and whose configuration is this one.
    lab.set("hostname", HOST);
    save(&lab, FIRST);
    let path = lab.path("plan.json");
    let mut saved: SavedPlan = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    saved.plan.host = "zeus".to_owned();
    saved.plan.digest = saved.plan.expected_digest();
    fs::write(&path, serde_json::to_vec(&saved).unwrap()).unwrap();
    mentions(&refused(&lab, LATER), "plan-of-another-host", "zeus");
}

#[test]
fn a_plan_of_another_day_is_refused() {
    let lab = Lab::new();
    save(&lab, FIRST);
    let why = refused(&lab, "2025-03-07T02:00:00+01:00");
    mentions(&why, "plan-too-old", "24 hours");
    let why = refused(&lab, "2025-03-04T02:00:00+01:00");
    mentions(&why, "plan-too-old", "future");
}

#[test]
fn a_plan_that_is_refused_is_not_saved() {
    let mut lab = Lab::new();
    lab.set("local.requireMount", true);
    lab.at(FIRST, &["plan", "--out", "plan.json"]).expect(4);
    assert!(!lab.path("plan.json").exists());
}

#[test]
fn a_file_that_is_no_plan_is_a_fault_of_usage() {
    let lab = Lab::new();
    let run = |file: &str| -> Ran { lab.at(FIRST, &["apply", file]) };
    run("absent.json")
        .expect(2)
        .says("absent.json")
        .hints("backup plan --out");
    lab.write("garbage.json", "{\"plan\": 7}");
    run("garbage.json").expect(2).hints("backup plan --out");
    run("config.json").expect(2).says("not a saved plan");
    assert_eq!(lab.ids(), [""; 0]);
}

#[test]
fn deletions_in_a_saved_plan_are_the_ones_that_were_read() {
    let mut lab = Lab::new();
    lab.set("local.keepDaily", 1);
    lab.set("local.keepWeekly", 0);
    lab.set("local.keepMonthly", 0);
    lab.backup(FIRST);
    save(&lab, SECOND);
    // Pinned since: the plan that was read would delete it.
    lab.run(&["pin", &id_of(FIRST)]).expect(0);
    let why = refused(&lab, SECOND);
    mentions(&why, "destination-changed", "marks");
    assert_eq!(lab.ids(), [id_of(FIRST)]);
    lab.run(&["unpin", &id_of(FIRST)]).expect(0);
    let report = lab.at(SECOND, &["apply", "plan.json", "--json"]).expect(0);
    assert_eq!(finding_codes(&report.json()["findings"]), [""; 0]);
    assert_eq!(lab.ids(), [id_of(SECOND)]);
}
