//! What a backup leaves on the destination and in the state directory.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
};

use crate::lab::{HOST, Lab, contents_below, entry_names, finding_codes, id_of, read_json};

// Wednesday, Thursday, Friday.
const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";
const THIRD: &str = "2025-03-07T02:00:00+01:00";

#[test]
fn the_first_backup_sets_the_destination_up_and_copies_everything() {
    let lab = Lab::new();
    let report = lab.backup(FIRST);
    let id = id_of(FIRST);
    assert_eq!(report["result"], "success");
    assert_eq!(report["host"], HOST);
    assert_eq!(finding_codes(&report["findings"]), ["first-snapshot"]);
    let snapshot = &report["snapshot"];
    assert_eq!(snapshot["id"], *id);
    assert_eq!(snapshot["complete"], true);
    assert_eq!(snapshot["suspect"].as_array().unwrap().len(), 0);
    assert_eq!(snapshot["totals"]["files"], 3);
    assert_eq!(snapshot["totals"]["files_copied"], 3);
    let steps: Vec<&str> = report["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["step"].as_str().unwrap())
        .collect();
    assert_eq!(
        steps,
        ["destination-check", "space-check", "snapshot", "rotate"]
    );

    // It stands for its day, its week and its month, so it lives where it stays longest.
    let link = format!("{id} -> ../monthly/{id}");
    assert_eq!(
        lab.tiers(),
        [
            format!("daily/{link}"),
            format!("weekly/{link}"),
            format!("monthly/{id}")
        ]
    );
    assert_eq!(lab.latest(), format!("monthly/{id}"));
    assert_eq!(
        contents_below(&lab.inside("latest", "home")),
        contents_below(&lab.path("home"))
    );

    let mut top = entry_names(&lab.stored(""));
    top.retain(|name| !name.starts_with("latest"));
    assert_eq!(top, [".backup", "by-time", "daily", "monthly", "weekly"]);
    for private in ["", ".backup"] {
        let mode = fs::metadata(lab.stored(private)).unwrap().mode();
        assert_eq!(mode & 0o7777, 0o700, "{private}");
    }
    let destination = read_json(&lab.stored(".backup/destination.json"));
    assert_eq!(destination["host"], HOST);
    assert_eq!(entry_names(&lab.stored(".backup/partial")), [""; 0]);
    assert_eq!(entry_names(&lab.stored(".backup/trash")), [""; 0]);
    let record = lab.record(&id);
    assert_eq!(record["basis"], serde_json::Value::Null);
    assert_eq!(record["day"], "2025-03-05");
    let manifest = format!(
        ".backup/snapshots/{id}/{}",
        record["manifest"].as_str().unwrap()
    );
    assert!(fs::metadata(lab.stored(&manifest)).unwrap().size() > 0);
}

#[test]
fn a_run_explains_itself_in_a_folder() {
    let lab = Lab::new();
    let report = lab.backup(FIRST);
    let run = report["run_id"].as_str().unwrap();
    assert_eq!(lab.runs(), [run]);
    let folder = lab.path("state/runs").join(run);
    assert_eq!(
        entry_names(&folder),
        [
            "config.json",
            "inventory.json",
            "journal.jsonl",
            "number.json",
            "plan.json",
            "report.json",
            "summary.json"
        ]
    );
    assert_eq!(read_json(&folder.join("report.json")), report);
    let plan = read_json(&folder.join("plan.json"));
    assert_eq!(plan["run_id"], run);
    assert_eq!(read_json(&folder.join("config.json"))["hostname"], HOST);
    assert_eq!(
        read_json(&folder.join("inventory.json"))["taken_at"],
        plan["created_at"]
    );
    let journal = fs::read_to_string(folder.join("journal.jsonl")).unwrap();
    assert!(journal.contains("run-started") && journal.contains("run-ended"));
    let log = fs::read_to_string(lab.path("log/backup-local.log")).unwrap();
    assert!(log.contains(&id_of(FIRST)), "{log}");
    let log = fs::read_to_string(lab.path("log/backup-coordinator.log")).unwrap();
    assert!(log.contains(run), "{log}");
}

#[test]
fn unchanged_files_are_hard_links_and_changed_ones_are_new() {
    let lab = Lab::new();
    lab.backup(FIRST);
    lab.write("home/ann/letter.txt", "dear all, again\n");
    lab.write("home/ann/new.txt", "new\n");
    let report = lab.backup(SECOND);
    let totals = &report["snapshot"]["totals"];
    assert_eq!(totals["files_copied"], 2, "{totals}");
    assert_eq!(totals["files_linked"], 2, "{totals}");
    assert_eq!(lab.record(&id_of(SECOND))["basis"], *id_of(FIRST));

    let first = format!("monthly/{}", id_of(FIRST));
    let second = format!("daily/{}", id_of(SECOND));
    assert_eq!(lab.latest(), second);
    for (file, shared) in [
        ("home/ann/photo.jpg", true),
        ("home/bob/notes/list.md", true),
        ("home/ann/letter.txt", false),
    ] {
        let one = fs::metadata(lab.inside(&first, file)).unwrap();
        let other = fs::metadata(lab.inside(&second, file)).unwrap();
        assert_eq!(one.ino() == other.ino(), shared, "{file}");
        let links = if shared { 2 } else { 1 };
        assert_eq!((one.nlink(), other.nlink()), (links, links), "{file}");
    }
    let letter =
        |snapshot: &str| fs::read_to_string(lab.inside(snapshot, "home/ann/letter.txt")).unwrap();
    assert_eq!(letter(&first), "dear all\n");
    assert_eq!(letter(&second), "dear all, again\n");
    assert!(!lab.inside(&first, "home/ann/new.txt").exists());
    assert_eq!(
        contents_below(&lab.inside("latest", "home")),
        contents_below(&lab.path("home"))
    );
}

#[test]
fn a_deleted_file_is_gone_from_the_new_snapshot_only() {
    let lab = Lab::new();
    lab.backup(FIRST);
    fs::remove_file(lab.path("home/ann/photo.jpg")).unwrap();
    lab.backup(SECOND);
    let there = |snapshot: &str| lab.inside(snapshot, "home/ann/photo.jpg").exists();
    assert!(there(&format!("monthly/{}", id_of(FIRST))));
    assert!(!there(&format!("daily/{}", id_of(SECOND))));
}

#[test]
fn what_a_pattern_excludes_is_left_out() {
    let mut lab = Lab::new();
    lab.set(
        "local.excludePatterns",
        vec![".cache", "*.tmp", "/ann/private", "logs/"],
    );
    lab.write("home/ann/.cache/thumb", "x");
    lab.write("home/ann/draft.tmp", "x");
    lab.write("home/ann/private/diary", "x");
    lab.write("home/bob/ann/private/diary", "x");
    lab.write("home/bob/logs/today", "x");
    lab.write("home/ann/logs", "a file of that name\n");
    lab.backup(FIRST);
    let stored: Vec<_> = contents_below(&lab.inside("latest", "home"))
        .into_iter()
        .filter(|(_, what)| !what.ends_with("folder"))
        .map(|(path, _)| path.to_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        stored,
        [
            "ann/letter.txt",
            "ann/logs",
            "ann/photo.jpg",
            "bob/ann/private/diary",
            "bob/notes/list.md"
        ]
    );
}

#[test]
fn links_modes_times_and_odd_names_are_kept() {
    let lab = Lab::new();
    let odd = "home/ann/two\nlines \u{1b}[2J \u{fc}.txt";
    lab.write(odd, "odd\n");
    std::os::unix::fs::symlink("letter.txt", lab.path("home/ann/link")).unwrap();
    std::os::unix::fs::symlink("nowhere", lab.path("home/ann/dangling")).unwrap();
    fs::hard_link(
        lab.path("home/ann/photo.jpg"),
        lab.path("home/bob/same.jpg"),
    )
    .unwrap();
    fs::set_permissions(lab.path("home/bob"), fs::Permissions::from_mode(0o750)).unwrap();
    fs::set_permissions(lab.path(odd), fs::Permissions::from_mode(0o400)).unwrap();
    fs::create_dir(lab.path("home/empty")).unwrap();
    let ran = lab.at(FIRST, &["apply"]).expect(0);
    assert!(!ran.all().contains('\u{1b}'), "{ran}");
    assert_eq!(
        contents_below(&lab.inside("latest", "home")),
        contents_below(&lab.path("home"))
    );
    let one = fs::metadata(lab.inside("latest", "home/ann/photo.jpg")).unwrap();
    let other = fs::metadata(lab.inside("latest", "home/bob/same.jpg")).unwrap();
    assert_eq!(one.ino(), other.ino());
}

#[test]
fn a_source_may_be_one_file() {
    let mut lab = Lab::new();
    let sources = vec![lab.text("home/bob"), lab.text("home/ann/letter.txt")];
    lab.set("local.sources", sources);
    lab.backup(FIRST);
    assert_eq!(
        entry_names(&lab.inside("latest", "home/ann")),
        ["letter.txt"]
    );
    assert!(lab.inside("latest", "home/bob/notes/list.md").exists());
}

#[test]
fn a_third_run_on_a_day_supersedes_the_second_and_not_the_weekly() {
    let lab = Lab::new();
    for hour in ["02", "12", "22"] {
        lab.backup(&format!("2025-03-05T{hour}:00:00+01:00"));
    }
    // The newest stands for the day, and so for week and month, whose first day it is.
    assert_eq!(lab.ids(), ["2025-03-05_22-00-00"]);
    assert_eq!(lab.latest(), "monthly/2025-03-05_22-00-00");
}

#[test]
fn two_runs_within_a_second_get_two_ids() {
    let lab = Lab::new();
    lab.backup(FIRST);
    let report = lab.backup(FIRST);
    assert_eq!(report["snapshot"]["id"], "2025-03-05_02-00-01");
}

#[test]
fn now_shows_the_plan_and_runs_it() {
    let lab = Lab::new();
    let told = lab.at(FIRST, &["now"]).expect(0);
    assert!(!told.stdout.is_empty());
    assert_eq!(lab.ids(), [id_of(FIRST)]);
    let report = lab.at(SECOND, &["now", "--json"]).expect(0).json();
    assert_eq!(report["snapshot"]["id"], *id_of(SECOND));
    let quiet = lab.at(THIRD, &["now", "--quiet"]).expect(0);
    assert_eq!(quiet.all(), "");
}

#[test]
fn a_snapshot_on_its_way_comes_back_where_a_link_leads_to_a_tier_that_never_got_it() {
    let lab = Lab::new();
    let night = "2025-03-05T02:00:00+01:00";
    lab.backup(night);
    let id = id_of(night);
    // As a power cut leaves it: the old tier's link was on disk before the new tier itself.
    let moving = lab.stored(&format!(".backup/moving/{id}"));
    fs::rename(lab.stored(&format!("monthly/{id}")), &moving).unwrap();
    lab.backup("2025-03-06T02:00:00+01:00");
    assert!(!moving.exists());
    assert!(lab.ids().contains(&id), "{:?}", lab.ids());
    lab.run(&["verify", &id]).expect(0);
}
