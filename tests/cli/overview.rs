//! `status`, `list` and `simulate`: what there is and what will be.

use std::fs;

use serde_json::Value;

use crate::lab::{HOST, Lab, Ran, finding_codes, id_of};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";
const THIRD: &str = "2025-03-07T02:00:00+01:00";
const NOON: &str = "2025-03-07T12:00:00+01:00";

/// Standard output without what differs between machines.
fn steady(lab: &Lab, told: Ran) -> String {
    told.fits();
    let root = lab.text("").trim_end_matches('/').to_owned();
    let mut steady = String::new();
    let mut is_room = false;
    for line in told.stdout.lines() {
        // A file system's kind and room follow its path, on as many lines as they need.
        is_room = match is_room && line.starts_with("              ") {
            true => continue,
            false => line.starts_with("Destination ") && line.contains(" ("),
        };
        let mut line = line.replace(&root, "/LAB");
        if is_room {
            line.truncate(line.find(" (").unwrap());
            line.push_str(" (ROOM)");
        }
        // The end of a run's name is a digest of what it was made from, paths included.
        if let Some((start, end)) = line.rsplit_once('-')
            && end.len() == 9
            && end.ends_with(')')
        {
            line = format!("{start}-RUN)");
        }
        steady.push_str(&line);
        steady.push('\n');
    }
    steady
}

/// A list without what a snapshot alone holds: how much a folder takes depends on the file system.
fn without_alone(list: &str) -> String {
    let mut lines = list.lines();
    let heads = lines.next().unwrap();
    let (start, end) = (
        heads.find("SIZE").unwrap() + 4,
        heads.find("STATE").unwrap(),
    );
    let cut = |line: &str| match line.starts_with(|first: char| first.is_ascii_digit()) {
        true => format!("{}  AMOUNT  {}\n", &line[..start], &line[end..]),
        false => format!("{line}\n"),
    };
    let heads = format!("{}   ALONE  {}\n", &heads[..start], &heads[end..]);
    heads + &lines.map(cut).collect::<String>()
}

/// A lab with a name of known length, three snapshots and a schedule.
fn three_nights() -> Lab {
    let mut lab = Lab::short();
    lab.set("schedule.enable", true);
    for (night, text) in [(FIRST, "one\n"), (SECOND, "two\n"), (THIRD, "three\n")] {
        lab.write("home/ann/letter.txt", text);
        lab.backup(night);
    }
    lab
}

#[test]
fn looking_works_before_anything_was_backed_up() {
    let lab = Lab::short();
    for verb in ["status", "list", "simulate"] {
        lab.at(FIRST, &[verb]).expect(0).fits();
        lab.at(FIRST, &[verb, "--json"]).expect(0).json();
    }
    let status = lab.at(FIRST, &["-v", "status"]).expect(0);
    insta::assert_snapshot!("status_of_nothing", steady(&lab, status));
    let list = lab.at(FIRST, &["list"]).expect(0);
    insta::assert_snapshot!("list_of_nothing", steady(&lab, list));
    assert!(!lab.path("state").exists());
}

#[test]
fn the_list_has_every_snapshot_with_its_tiers_and_state() {
    let lab = three_nights();
    lab.run(&["pin", &id_of(SECOND)]).expect(0);
    fs::create_dir(lab.stored("weekly/by hand")).unwrap();
    let list = lab.at(NOON, &["list"]).expect(0);
    insta::assert_snapshot!("list", without_alone(&steady(&lab, list)));
    let list = lab.run(&["restore", "--list"]).expect(0);
    assert!(list.stdout.contains(&id_of(FIRST)), "{list}");

    let json = lab.at(NOON, &["list", "--json"]).expect(0).json();
    let snapshots = json["snapshots"].as_array().unwrap();
    let ids: Vec<&Value> = snapshots.iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, [&id_of(THIRD), &id_of(SECOND), &id_of(FIRST)]);
    assert_eq!(snapshots[0]["age_seconds"], 36_000);
    // Each has a letter of its own, in a chain: nothing is guessed.
    for one in snapshots {
        assert_eq!(one["frees_is_exact"], true, "{one:#}");
        assert!(one["frees"].as_u64().unwrap() > 0, "{one:#}");
        assert!(!one["kept"].as_array().unwrap().is_empty(), "{one:#}");
    }
    assert_eq!(snapshots[1]["pinned"], true);
    assert_eq!(snapshots[2]["home"], "monthly");
    let tiers = serde_json::json!(["daily", "weekly", "monthly"]);
    assert_eq!(snapshots[2]["tiers"], tiers);
    assert_eq!(json["unmanaged"].as_array().unwrap().len(), 1);
}

#[test]
fn the_status_says_how_old_the_backup_is() {
    let lab = three_nights();
    let status = lab.at(NOON, &["-v", "status"]).expect(0);
    insta::assert_snapshot!("status", steady(&lab, status));
    let json = lab.at(NOON, &["status", "--json"]).expect(0).json();
    assert_eq!(json["verdict"], "ok");
    assert_eq!(json["host"], HOST);
    assert_eq!(json["snapshots"], 3);
    assert_eq!(json["last_good"]["id"], *id_of(THIRD));
    assert_eq!(json["last_run"]["result"], "success");
    // Nothing starts it on a machine where tests run.
    assert_eq!(json["next_run_at"], Value::Null);
    assert_eq!(json["no_timer"], true);
    assert!(finding_codes(&json["findings"]).contains(&"no-timer"));
    assert_eq!(json["running"], false);
}

#[test]
fn the_status_says_that_a_backup_is_late() {
    let lab = three_nights();
    let late = "2025-04-07T12:00:00+02:00";
    let status = lab.at(late, &["status"]);
    insta::assert_snapshot!("status_late", steady(&lab, status));
    let json = lab.at(late, &["status", "--json"]).json();
    assert_ne!(json["verdict"], "ok");
    assert!(json["late_since"].is_string());
}

#[test]
fn the_status_of_an_absent_drive_is_an_answer_and_not_an_error() {
    let lab = three_nights();
    fs::rename(lab.path("mnt"), lab.path("away")).unwrap();
    let status = lab.at(NOON, &["status"]);
    insta::assert_snapshot!("status_absent", steady(&lab, status));
    let json = lab.at(NOON, &["status", "--json"]).json();
    assert_eq!(json["destination"]["present"], false);
    assert_ne!(json["verdict"], "ok");
}

#[test]
fn the_last_run_is_the_last_backup_whatever_else_was_done_since() {
    let mut lab = three_nights();
    lab.set("preBackupScript", lab.script("pre", "exit 9"));
    lab.at(NOON, &["apply"]).expect(1);
    let last = |lab: &Lab| {
        let json = lab.at(NOON, &["status", "--json"]).json();
        json["last_run"]["result"].as_str().unwrap().to_owned()
    };
    assert_eq!(last(&lab), "failed");
    lab.run(&["pin", "latest"]).expect(0);
    lab.run(&["init"]).expect(0);
    let letter = lab.text("home/ann/letter.txt");
    lab.run(&["restore", "latest", &letter, "back"]).expect(0);
    assert_eq!(last(&lab), "failed");
}

#[test]
fn the_policy_can_be_seen_over_time() {
    let mut lab = Lab::short();
    lab.set("local.keepMonthly", 2);
    let days = ["simulate", "--days", "40"];
    let simulated = lab.at(FIRST, &days).expect(0);
    insta::assert_snapshot!("simulate", steady(&lab, simulated));
    let json = lab.at(FIRST, &[&days[..], &["--json"]].concat()).expect(0);
    let json = json.json();
    assert_eq!(json.as_array().unwrap().len(), 40);

    let sparse = ["simulate", "--days", "60", "--schedule", "Mon,Thu 04:30"];
    let sparse = lab.at(FIRST, &sparse).expect(0);
    insta::assert_snapshot!("simulate_sparse", steady(&lab, sparse));
    let wrong = ["simulate", "--schedule", "sometimes"];
    lab.at(FIRST, &wrong)
        .expect(2)
        .says("sometimes")
        .hints("daily");
    lab.at(FIRST, &["simulate", "--days", "0"]).expect(2);
}

#[test]
fn a_simulation_is_what_happens() {
    let mut lab = Lab::short();
    lab.set("local.keepDaily", 2);
    lab.set("local.keepWeekly", 2);
    lab.set("local.keepMonthly", 1);
    let simulated = lab.at(FIRST, &["simulate", "--days", "12", "--json"]);
    let simulated = simulated.expect(0).json();
    for (index, day) in simulated.as_array().unwrap().iter().enumerate() {
        lab.backup(&format!("2025-03-{:02}T02:00:00+01:00", index + 5));
        let kept = ["daily", "weekly", "monthly", "other"];
        let kept = kept.iter().flat_map(|tier| day[*tier].as_array().unwrap());
        let mut expected: Vec<&str> = kept.map(|id| id.as_str().unwrap()).collect();
        expected.sort_unstable();
        expected.dedup();
        assert_eq!(lab.ids(), expected, "{day}");
    }
}

#[test]
fn plans_and_reports_fit_into_eighty_columns() {
    let mut lab = Lab::short();
    let absent = lab.text("home/carla");
    let sources = vec![lab.text("home/ann"), lab.text("home/bob")];
    lab.set("local.sources", sources.clone());
    lab.set("local.keepDaily", 2);
    lab.set("local.keepWeekly", 0);
    lab.set("local.keepMonthly", 0);
    lab.at(FIRST, &["plan"]).expect(0).fits();
    lab.at(FIRST, &["apply"]).expect(0).fits();
    lab.backup(SECOND);
    lab.at(THIRD, &["plan"])
        .expect(0)
        .says(&format!("delete {}", id_of(FIRST)))
        .fits();
    lab.at(THIRD, &["now"]).expect(0).fits();
    lab.set("local.sources", [sources, vec![absent]].concat());
    lab.at(NOON, &["plan"]).fits();
    lab.at(NOON, &["apply"]).expect(3).fits();
    lab.set("local.requireMount", true);
    lab.at(NOON, &["plan"]).expect(4).fits();
    lab.at(NOON, &["apply"]).expect(4).fits();
}

#[test]
fn as_json_every_verb_prints_one_document() {
    let lab = three_nights();
    let (home, latest) = (lab.text("home"), id_of(THIRD));
    lab.write("home/ann/letter.txt", "four\n");
    lab.write("plan.json", "");
    for (code, arguments) in [
        (0, &["check"][..]),
        (0, &["schema", "plan"]),
        (0, &["plan"]),
        (0, &["plan", "--out", "plan.json"]),
        (0, &["apply", "plan.json"]),
        (4, &["apply", "plan.json"]),
        (0, &["now"]),
        (0, &["status"]),
        (0, &["list"]),
        (0, &["health"]),
        (0, &["restore", "--list"]),
        (0, &["verify"]),
        (0, &["verify", "--all", "--quick", "--repair"]),
        (0, &["restore", "latest", &home, "new", "--dry-run"]),
        (0, &["restore", "latest", &home, "new"]),
        (4, &["restore", &latest, &home, "new"]),
        (0, &["pin", "latest"]),
        (0, &["unpin", "latest"]),
        (0, &["accept", "latest"]),
        (0, &["init"]),
        (0, &["simulate"]),
    ] {
        let told = lab.run(&[arguments, &["--json"]].concat()).expect(code);
        told.json();
    }
}

#[test]
fn another_disk_is_not_taken_for_no_backup() {
    let mut lab = Lab::new();
    lab.backup(FIRST);
    lab.backup(SECOND);
    let usual = crate::lab::read_json(&lab.stored(".backup/destination.json"));
    fs::create_dir(lab.path("other")).unwrap();
    lab.set("local.mountPoint", lab.text("other"));
    let status = lab
        .at("2025-03-06T03:30:00+01:00", &["status", "--json"])
        .json();
    assert_eq!(status["verdict"], "warning");
    assert_eq!(status["last_good"]["id"], *id_of(SECOND));
    assert_eq!(status["destination"]["is_ours"], false);
    let summary = status["summary"].as_str().unwrap();
    assert!(
        summary.contains("is another disk than the one expected"),
        "{summary}"
    );
    assert!(summary.contains(usual["id"].as_str().unwrap()), "{summary}");
    assert!(summary.ends_with("last backup 1 hour ago"), "{summary}");
    let health = lab
        .at("2025-03-06T03:30:00+01:00", &["health", "--json"])
        .json();
    assert_eq!(health["last_good"]["id"], *id_of(SECOND));
}

#[test]
fn a_finding_that_a_later_backup_disproves_leaves_the_headline() {
    let lab = Lab::new();
    fs::rename(lab.path("mnt"), lab.path("away")).unwrap();
    lab.run(&["health"]).expect(1);
    let status = lab.run(&["status", "--json"]).json();
    assert_eq!(status["verdict"], "no-backup");
    assert_eq!(status["health"]["verdict"], "error");
    fs::rename(lab.path("away"), lab.path("mnt")).unwrap();
    lab.run(&["apply"]).expect(0);
    let status = lab.run(&["status", "--json"]).json();
    assert_eq!(status["verdict"], "ok", "{status:#}");
    assert_eq!(status["health"]["verdict"], "ok");
    assert!(status["health"]["disproved"].as_u64().unwrap() > 0);
    lab.run(&["status"]).says("a later run disproved");
}

#[test]
fn a_part_that_failed_stays_in_the_headline_while_the_other_one_succeeds() {
    let mut lab = Lab::new();
    lab.backup(FIRST);
    let script = lab.script("pre", "exit 1");
    lab.set("preBackupScript", script);
    lab.at(SECOND, &["apply"]).expect(1);
    let told = lab.at(SECOND, &["status", "--json"]).json();
    let summary = told["summary"].as_str().unwrap();
    assert!(summary.starts_with("the last run failed: "), "{summary}");
    lab.set("preBackupScript", Value::Null);
    lab.at(THIRD, &["apply", "--only", "local"]).expect(0);
    let told = lab.at(THIRD, &["status", "--json"]).json();
    assert_eq!(told["verdict"], "ok", "{told:#}");
}
