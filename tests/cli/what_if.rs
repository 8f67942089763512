//! `plan`: what would be done, said without doing anything.

use crate::lab::{
    Lab, Ran, entry_names, everything_below, id_of, plan_action, step_outcome, wait_for_child,
};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";

#[test]
fn the_same_state_gives_the_same_plan_byte_by_byte() {
    let lab = Lab::new();
    for _ in 0..2 {
        let one = lab.at(SECOND, &["plan", "--json"]).expect(0);
        let other = lab.at(SECOND, &["plan", "--json"]).expect(0);
        assert_eq!(one.stdout, other.stdout);
        lab.backup(FIRST);
        lab.write("home/ann/more", "more");
    }
}

#[test]
fn a_plan_leaves_no_trace_anywhere() {
    let lab = Lab::new();
    let before = everything_below(&lab.path(""));
    for arguments in [
        &["plan", "--dry-run"][..],
        &["plan"],
        &["plan", "--json"],
        &["plan", "--graph", "dot"],
    ] {
        lab.at(FIRST, arguments).expect(0);
    }
    assert_eq!(everything_below(&lab.path("")), before);
    assert!(!lab.path("state").exists());
    assert_eq!(entry_names(&lab.path("mnt")), [""; 0]);

    lab.backup(FIRST);
    lab.write("home/ann/letter.txt", "changed\n");
    let before = everything_below(&lab.path(""));
    for arguments in [
        &["plan", "--dry-run"][..],
        &["plan", "--dry-run", "--json"],
        &["plan", "--detailed-exitcode", "--quiet"],
        &["status"],
        &["list"],
        &["simulate"],
    ] {
        lab.at(SECOND, arguments);
    }
    lab.run(&["check"]).expect(0);
    lab.run(&["restore", "--list"]).expect(0);
    assert_eq!(everything_below(&lab.path("")), before);
}

#[test]
fn a_dry_run_and_a_saved_plan_exclude_each_other() {
    let lab = Lab::new();
    lab.run(&["plan", "--dry-run", "--out", "plan.json"])
        .expect(2);
    assert!(!lab.path("plan.json").exists());
}

#[test]
fn the_detailed_exit_code_says_whether_anything_would_be_done() {
    let mut lab = Lab::new();
    let detailed = ["plan", "--detailed-exitcode"];
    lab.at(FIRST, &detailed).expect(2);
    lab.at(FIRST, &["plan"]).expect(0);
    lab.set("local.enable", false);
    lab.at(FIRST, &detailed).expect(0);
    lab.set("local.enable", true);
    lab.set("local.requireMount", true);
    lab.at(FIRST, &detailed).expect(4);
}

#[test]
fn what_was_planned_is_what_is_done() {
    let lab = Lab::new();
    lab.backup(FIRST);
    lab.write("home/ann/letter.txt", "changed\n");
    lab.write("home/ann/new", "new\n");
    let plan = lab.at(SECOND, &["plan", "--json"]).expect(0).json();
    let snapshot = plan_action(&plan, "snapshot");
    assert_eq!(snapshot["id"], *id_of(SECOND));
    assert_eq!(snapshot["basis"]["id"], *id_of(FIRST));
    assert_eq!(snapshot["expected"]["files"], 4);
    assert_eq!(snapshot["expected"]["new_files"], 2);
    let rotation = &plan_action(&plan, "rotate")["on_complete"];
    assert_eq!(rotation["latest"], format!("daily/{}", id_of(SECOND)));
    assert_eq!(rotation["deletions"].as_array().unwrap().len(), 0);

    let report = lab.backup(SECOND);
    assert_eq!(report["run_id"], plan["run_id"]);
    let totals = &report["snapshot"]["totals"];
    assert_eq!(totals["files"], 4);
    assert_eq!(totals["files_copied"], 2);
    assert_eq!(step_outcome(&report, "rotate")["status"], "succeeded");
}

#[test]
fn a_deletion_is_planned_with_its_reason_and_what_it_frees() {
    let mut lab = Lab::new();
    lab.set("local.keepDaily", 1);
    lab.set("local.keepWeekly", 0);
    lab.set("local.keepMonthly", 0);
    lab.backup(FIRST);
    lab.write("home/ann/photo.jpg", &"another\n".repeat(2000));
    let plan = lab.at(SECOND, &["plan", "--json"]).expect(0).json();
    let deletion = &plan_action(&plan, "rotate")["on_complete"]["deletions"][0];
    assert_eq!(deletion["id"], *id_of(FIRST));
    assert_eq!(deletion["reason"]["kind"], "past-limits");
    lab.backup(SECOND);
    assert_eq!(lab.ids(), [id_of(SECOND)]);
    assert_eq!(lab.tiers(), [format!("daily/{}", id_of(SECOND))]);
}

#[test]
fn the_steps_can_be_drawn() {
    let mut lab = Lab::new();
    let script = lab.script("pre", "true");
    lab.set("preBackupScript", script.clone());
    lab.set("postBackupScript", script);
    let dot = lab.at(FIRST, &["plan", "--graph", "dot"]).expect(0);
    let steady = |told: Ran| {
        told.stdout
            .replace(lab.text("").trim_end_matches('/'), "/LAB")
    };
    insta::assert_snapshot!("graph_dot", steady(dot));
    let mermaid = lab.at(FIRST, &["plan", "--graph", "mermaid"]).expect(0);
    insta::assert_snapshot!("graph_mermaid", steady(mermaid));
    lab.run(&["plan", "--graph", "dot", "--json"]).expect(2);
}

#[test]
fn a_time_that_is_none_is_a_fault_of_usage() {
    let lab = Lab::new();
    for now in ["yesterday", "2025-03-05", "2025-03-05T02:00:00"] {
        lab.at(now, &["plan"]).expect(2).says("--now");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let lab = Lab::new();
    let mut child = lab.command(&["plan"]).spawn().unwrap();
    drop(child.stdout.take());
    let told = wait_for_child(child, &["plan"]).expect(0);
    assert!(!told.stderr.contains("error"), "{told}");
}

#[test]
fn json_goes_to_stdout_and_progress_as_json_lines_to_stderr() {
    let lab = Lab::new();
    for arguments in [["plan", "--json"], ["apply", "--json"], ["now", "--json"]] {
        let told = lab.run(&arguments).expect(0);
        assert!(told.json().is_object());
        for line in told.stderr.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(line["event"].is_string(), "{line}");
        }
    }
}
