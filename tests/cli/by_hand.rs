//! Deletions by hand and for want of a person's approval: `prune`, `delete`, `--approve-deletions`.

use std::{fs, os::unix::fs::symlink};

use schema::amount;

use crate::lab::{Lab, id_of, read_json, run_command, step_outcome};

/// Nights in March 2025, from the first on.
fn night(day: u32) -> String {
    format!("2025-03-{day:02}T02:00:00+01:00")
}

/// The ids in the tiers, links left out.
fn snapshots(lab: &Lab) -> Vec<String> {
    let mut ids: Vec<String> = lab
        .tiers()
        .into_iter()
        .filter(|one| !one.contains(" -> "))
        .map(|one| one.rsplit('/').next().unwrap().to_owned())
        .collect();
    ids.sort();
    ids
}

/// A lab of so many nights, all of them dailies.
fn nights(count: u32) -> Lab {
    let mut lab = Lab::new();
    lab.set("local.keepDaily", 30);
    lab.set("local.keepWeekly", 0);
    lab.set("local.keepMonthly", 0);
    for day in 1..=count {
        lab.write("home/ann/today.txt", &format!("{day}\n"));
        lab.backup(&night(day));
    }
    lab
}

#[test]
fn prune_does_the_policy_and_asks_first() {
    let mut lab = nights(9);
    let before = snapshots(&lab);
    lab.set("local.keepDaily", 2);
    let at = night(9);
    let shown = lab.at(&at, &["prune", "--dry-run"]).expect(0);
    assert!(shown.stdout.contains(&before[0]), "{}", shown.stdout);
    assert!(
        shown.stdout.contains("(local.keepDaily)"),
        "{}",
        shown.stdout
    );
    lab.at(&at, &["prune"]).expect(4);
    assert_eq!(snapshots(&lab), before);
    lab.at(&at, &["prune", "--yes"]).expect(0);
    assert_eq!(snapshots(&lab), before[7..]);
    // It is done: again does nothing.
    let again = lab.at(&at, &["prune"]).expect(0);
    assert!(
        again.stderr.contains("nothing to delete"),
        "{}",
        again.stderr
    );
    lab.run(&["verify", "--all"]).expect(0);
}

#[test]
fn prune_waits_until_a_suspect_snapshot_is_accepted() {
    let mut lab = nights(4);
    for file in 0..20 {
        lab.write(&format!("home/ann/{file}"), "x");
    }
    lab.backup(&night(5));
    fs::remove_dir_all(lab.path("home/ann")).unwrap();
    lab.at(&night(6), &["apply"]).expect(3);
    lab.set("local.keepDaily", 1);
    let refused = lab.at(&night(6), &["prune", "--yes"]).expect(4);
    assert!(
        refused.stderr.contains("backup accept"),
        "{}",
        refused.stderr
    );
    assert_eq!(snapshots(&lab).len(), 6);
    lab.run(&["accept", &id_of(&night(6))]).expect(0);
    lab.at(&night(6), &["prune", "--yes"]).expect(0);
    assert_eq!(snapshots(&lab), [id_of(&night(6))]);
}

#[test]
fn delete_takes_what_is_named_and_nothing_else() {
    let lab = nights(5);
    let ids = snapshots(&lab);
    lab.run(&["pin", &ids[1]]).expect(0);
    let now = night(5);
    for (name, why) in [(&ids[4], "newest good"), (&ids[1], "pinned")] {
        let refused = lab.at(&now, &["delete", name, "--yes"]).expect(4);
        assert!(refused.stderr.contains(why), "{}", refused.stderr);
    }
    lab.at(&now, &["delete", &ids[2]]).expect(4);
    let shown = lab
        .at(&now, &["delete", &ids[2], "--dry-run", "--json"])
        .expect(0);
    let plan: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    let deletion = &plan["steps"][1]["action"]["rotation"]["deletions"][0];
    assert_eq!(deletion["id"], ids[2].as_str());
    assert_eq!(deletion["lost"]["files"], 1, "today.txt of that day");
    assert_eq!(deletion["lost"]["at_least"], false);
    assert_eq!(snapshots(&lab), ids);
    // A beginning that is its alone, and another by its whole id.
    lab.at(&now, &["delete", "2025-03-03", &ids[0], "--yes"])
        .expect(0);
    assert_eq!(snapshots(&lab), [&ids[1][..], &ids[3], &ids[4]]);
    for gone in [&ids[0], &ids[2]] {
        assert!(!lab.stored(&format!(".backup/snapshots/{gone}")).exists());
        assert!(!lab.stored(&format!(".backup/trash/{gone}")).exists());
    }
    lab.run(&["verify", "--all"]).expect(0);
}

#[test]
fn the_only_snapshot_stays() {
    let lab = nights(1);
    lab.at(&night(1), &["delete", "latest", "--yes"]).expect(4);
    assert_eq!(snapshots(&lab).len(), 1);
}

#[test]
fn what_a_clock_that_was_ahead_made_can_be_deleted_and_latest_leads_on() {
    let lab = nights(2);
    let ahead = "2031-01-01T02:00:00+01:00";
    lab.backup(ahead);
    lab.at(&night(3), &["delete", &id_of(ahead), "--yes"])
        .expect(0);
    assert_eq!(snapshots(&lab), [id_of(&night(1)), id_of(&night(2))]);
    assert_eq!(lab.latest(), format!("daily/{}", id_of(&night(2))));
}

#[test]
fn what_a_clock_that_was_ahead_made_accounts_for_no_deletion() {
    let mut lab = nights(6);
    for day in 1..=8 {
        lab.backup(&format!("2031-01-{day:02}T02:00:00+01:00"));
    }
    lab.backup(&night(7));
    lab.set("local.keepDaily", 2);
    let ran = lab.at(&night(8), &["apply"]).expect(3);
    assert!(ran.stdout.contains("backup prune"), "{}", ran.stdout);
    assert_eq!(snapshots(&lab).len(), 8 + 8);
}

#[test]
fn a_snapshot_whose_record_is_damaged_can_be_deleted() {
    let lab = nights(3);
    let id = id_of(&night(2));
    fs::write(
        lab.stored(&format!(".backup/snapshots/{id}/snapshot.json")),
        "{",
    )
    .unwrap();
    lab.at(&night(3), &["delete", &id, "--yes"]).expect(0);
    assert_eq!(snapshots(&lab), [id_of(&night(1)), id_of(&night(3))]);
    assert!(!lab.stored(&format!(".backup/snapshots/{id}")).exists());
}

#[test]
fn what_another_made_is_never_deleted() {
    let lab = nights(2);
    fs::create_dir(lab.stored("daily/2020-01-01_00-00-00")).unwrap();
    let refused = lab
        .at(&night(2), &["delete", "2020-01-01", "--yes"])
        .expect(4);
    assert!(
        refused.stderr.contains("not made by this program"),
        "{}",
        refused.stderr
    );
    assert!(lab.stored("daily/2020-01-01_00-00-00").exists());
}

#[test]
fn waiting_is_no_approval() {
    let mut lab = nights(10);
    let old = snapshots(&lab);
    lab.set("local.keepDaily", 2);
    for day in 11..=24 {
        let ran = lab.at(&night(day), &["apply"]).expect(3);
        assert!(ran.stdout.contains("backup prune"), "{}", ran.stdout);
    }
    assert!(old.iter().all(|id| snapshots(&lab).contains(id)));
    lab.at(&night(25), &["apply", "--approve-deletions"])
        .expect(0);
    assert_eq!(snapshots(&lab).len(), 2);
    // Settled: from here on each night is as any other.
    lab.backup(&night(26));
    assert_eq!(snapshots(&lab).len(), 2);
}

#[test]
fn a_slip_that_is_mended_leaves_no_trace() {
    let mut lab = nights(10);
    lab.set("local.keepDaily", 2);
    lab.at(&night(11), &["apply"]).expect(3);
    lab.set("local.keepDaily", 11);
    lab.backup(&night(12));
    lab.backup(&night(13));
    assert_eq!(snapshots(&lab).len(), 11);
}

#[test]
fn links_that_lead_astray_are_mended_by_prune() {
    let mut lab = nights(3);
    lab.set("local.keepWeekly", 4);
    lab.at(&night(3), &["prune", "--yes"]).expect(0);
    let first = id_of(&night(1));
    assert!(lab.stored(&format!("weekly/{first}")).is_dir());
    let link = lab.stored(&format!("daily/{first}"));
    fs::remove_file(&link).unwrap();
    symlink("../nowhere", &link).unwrap();
    lab.at(&night(3), &["prune", "--yes"]).expect(0);
    assert_eq!(
        fs::read_link(&link).unwrap().to_str().unwrap(),
        format!("../weekly/{first}")
    );
}

#[test]
fn what_a_slip_held_up_for_days_goes_by_itself_once_it_is_mended() {
    let mut lab = nights(10);
    lab.set("local.keepDaily", 10);
    lab.backup(&night(11));
    assert_eq!(snapshots(&lab).len(), 10);
    lab.set("local.keepDaily", 2);
    for day in 12..=16 {
        lab.at(&night(day), &["apply"]).expect(3);
    }
    assert_eq!(snapshots(&lab).len(), 15);
    // Mended by half: what the nights alone let go does not count, the rest needs a word.
    lab.set("local.keepDaily", 8);
    lab.at(&night(17), &["apply"])
        .expect(3)
        .says("need approval");
    lab.set("local.keepDaily", 10);
    lab.backup(&night(18));
    assert_eq!(snapshots(&lab).len(), 10);
    assert_eq!(snapshots(&lab)[0], id_of(&night(9)));
    let status = lab.at(&night(18), &["status"]).expect(0);
    assert!(!status.all().contains("approv"), "{status}");
    lab.backup(&night(19));
    assert_eq!(snapshots(&lab).len(), 10);
}

#[test]
fn a_run_that_deletes_says_what_went_for_good() {
    let mut lab = nights(2);
    lab.set("local.keepDaily", 2);
    lab.set("notifications.enable", true);
    lab.set("notifications.onSuccess", true);
    lab.set("notifications.desktop", false);
    let to = serde_json::json!({"to": "ann@example.org", "from": "backup@example.org"});
    lab.set("notifications.email", to);
    lab.script("bin/sendmail", &format!("cat >> '{}'", lab.text("mail")));
    lab.write("home/ann/today.txt", "3\n");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = lab.command(&["apply", "--now", &night(3)]);
    command.env("PATH", format!("{}:{path}", lab.text("bin")));
    let gone = id_of(&night(1));
    let done = run_command(command, &["apply"]).expect(0);
    let run = lab.runs().pop().unwrap();
    let report = read_json(&lab.path(format!("state/runs/{run}/report.json")));
    let deleted = &step_outcome(&report, "rotate")["deleted"];
    assert_eq!(deleted[0]["id"], *gone);
    // The text of that day; every other file is in the other snapshots too.
    assert_eq!(deleted[0]["lost"]["files"], 1);
    let bytes = amount::bytes(deleted[0]["lost"]["bytes"].as_u64().unwrap());
    let went = format!("went 1 file ({bytes}) that no other snapshot has");
    done.says(&went).says(&format!(
        "deleted {gone} daily frees {bytes}, 1 file that no other has: not of the last 2 days \
         (local.keepDaily)"
    ));
    let mail = fs::read_to_string(lab.path("mail")).unwrap();
    let mail = mail.replace("=\n", "");
    let told = format!("Deleted: 1 snapshot, and with it {went}.");
    assert!(mail.contains(&told), "{mail}");

    // The same by hand.
    let second = id_of(&night(2));
    lab.at(&night(3), &["delete", &second, "--yes"])
        .expect(0)
        .says("1 file that no other has");
}
