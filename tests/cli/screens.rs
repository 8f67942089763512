//! What stands on a screen of 24 lines of 80 columns: the plan, the run, the status.

use std::fs;

use serde_json::json;

use crate::lab::{Lab, Ran, id_of};

/// Lines of a terminal, less the one in which the next command is typed.
const SCREEN: usize = 23;

fn night(number: u32) -> String {
    format!("2026-03-{:02}T02:00:00Z", number + 1)
}

/// A usual configuration: three sources, the default retention, a schedule.
fn usual() -> Lab {
    let mut lab = Lab::short();
    lab.write("etc/fstab", "/dev/sda1 / ext4\n");
    lab.write("srv/list", "1\n2\n");
    for number in 0..73 {
        lab.write(&format!("home/ann/Documents/{number}"), "a page\n");
        lab.write(&format!("home/ann/Music/{number}"), "a song\n");
    }
    let sources = ["home", "etc", "srv"].map(|name| lab.text(name));
    lab.set("local.sources", json!(sources));
    lab.set("local.keepLast", 3);
    lab.set("schedule.enable", true);
    for number in 1..=12 {
        lab.backup(&night(number));
    }
    fs::remove_dir_all(lab.path("home/ann/Documents")).unwrap();
    fs::remove_file(lab.path("home/bob/notes/list.md")).unwrap();
    lab.write("home/ann/letter.txt", "dear all, once more\n");
    fs::rename(
        lab.path("home/ann/photo.jpg"),
        lab.path("home/bob/photo.jpg"),
    )
    .unwrap();
    for name in ["poem", "song"] {
        lab.write(&format!("home/bob/{name}"), "la la\n");
    }
    lab
}

/// The lines of a screen, without what differs between machines and runs.
fn screen(lab: &Lab, told: &Ran) -> Vec<String> {
    told.fits();
    let root = lab.text("").trim_end_matches('/').to_owned();
    let lines = || told.stdout.lines();
    // Where the snapshots are and what room is there differs from one machine to the next.
    let head = lines().next().into_iter();
    head.chain(lines().skip_while(|line| !line.is_empty()))
        .map(|line| line.replace(&root, "/LAB"))
        .collect()
}

#[test]
fn the_plan_of_a_usual_night_fits_a_screen_and_says_what_is_gone() {
    let lab = usual();
    let planned = lab.at(&night(13), &["plan"]).expect(0);
    let told = screen(&lab, &planned);
    assert!(planned.stdout.lines().count() <= 18, "{}", planned.stdout);
    let expected = [
        "Plan for atlas, 2026-03-14 02:00:00 +00:00",
        "",
        "   make    2026-03-14_02-00-00 of /LAB/home, /LAB/etc,",
        "           /LAB/srv",
    ];
    assert_eq!(told[..expected.len()], expected);
    let in_one_line = told.join(" ");
    let words: Vec<&str> = in_one_line.split_whitespace().collect();
    let text = words.join(" ");
    for said in [
        "copy 2 new files and 1 that changed, at most",
        "gone 74 files (518 B) from the sources, most in /LAB/home/ann/Documents",
        "link 76 unchanged files, 1 of them moved, to daily/2026-03-13_02-00-00",
        "delete 2026-03-07_02-00-00 (daily): frees",
        "keep 8 snapshots",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(
        told.last().unwrap().starts_with("4 steps: -v shows each"),
        "{text}"
    );
    // All of it is there for whoever asks.
    let whole = lab.at(&night(13), &["plan", "-v"]).expect(0);
    whole.fits();
    for said in [
        "1. destination-check",
        "except",
        "expect",
        "Total:",
        "last 3",
        "gone",
    ] {
        assert!(whole.stdout.contains(said), "{said}: {}", whole.stdout);
    }
}

#[test]
fn plan_and_run_of_a_usual_night_fit_one_screen_and_say_nothing_twice() {
    let lab = usual();
    let ran = lab.at(&night(13), &["now"]).expect(0);
    ran.fits();
    let told = &ran.stdout;
    assert!(told.lines().count() <= SCREEN, "{told}");
    // No table after the lines that said it; the whole of it is for whoever asks.
    assert!(
        !told.contains("space-check") && !told.contains("destination-check"),
        "{told}"
    );
    assert_eq!(told.matches("74 files (518 B)").count(), 1, "{told}");
    assert!(told.contains("2026-03-07_02-00-00"), "{told}");
    let whole = lab.at(&night(14), &["now", "-v"]).expect(0).stdout;
    assert!(whole.contains("ok          space-check"), "{whole}");
    // What keeps a run from being made is told once, with what to do.
    fs::rename(lab.path("mnt"), lab.path("away")).unwrap();
    let refused = lab.at(&night(15), &["now"]).expect(4);
    let all = refused.all();
    assert_eq!(all.matches("refused:").count(), 1, "{all}");
    assert_eq!(all.matches("hint:").count(), 1, "{all}");
}

#[test]
fn every_deletion_is_told_and_many_by_their_reasons() {
    let mut lab = Lab::short();
    lab.set("local.keepDaily", 20);
    for number in 1..=14 {
        lab.backup(&night(number));
    }
    lab.set("local.keepDaily", 2);
    lab.set("local.keepWeekly", 0);
    lab.set("local.keepMonthly", 0);
    // What is spared for now is told in the same way.
    lab.at(&night(15), &["plan"])
        .says("spare 13 snapshots from")
        .says("not of the last 2 days (local.keepDaily)")
        .says("need approval");
    let approved = ["plan", "--approve-deletions"];
    let planned = lab.at(&night(15), &approved).expect(0);
    assert!(planned.stdout.lines().count() <= SCREEN, "{planned}");
    let said = format!(
        "delete 13 snapshots from {} to {}, frees",
        id_of(&night(1)),
        id_of(&night(13))
    );
    planned
        .says(&said)
        .says("and no file is only there: not of the last 2 days (local.keepDaily)");
    let whole = lab
        .at(&night(15), &[&approved[..], &["-v"]].concat())
        .expect(0);
    for number in 1..=13 {
        let line = format!("   delete  {}  ", id_of(&night(number)));
        assert!(whole.stdout.contains(&line), "{line} {whole}");
    }
    let ran = lab
        .at(&night(15), &["apply", "--approve-deletions"])
        .expect(0);
    ran.says(&said.replace("delete 13", "deleted 13"));
    assert_eq!(lab.ids().len(), 2);
}

/// A text without its lines: a command that is long in a lab stands in one of its own.
fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_status_is_one_line_where_all_is_well_and_names_what_ends_what_is_not() {
    let mut lab = Lab::short();
    lab.backup(&night(1));
    let noon = "2026-03-02T12:00:00Z";
    let told = lab.at(noon, &["status"]).expect(0);
    let mut parts = told.stdout.split("\n\n");
    assert_eq!(
        parts.next().unwrap().trim_end(),
        "ok: last backup 10 hours ago"
    );
    // Who runs the tests, and on which file system, is told as a note.
    assert!(parts.all(|part| part.starts_with("note:")), "{told}");
    let whole = lab.at(noon, &["-v", "status"]).expect(0).stdout;
    assert!(
        whole.starts_with("ok: last backup 10 hours ago\n\nHost "),
        "{whole}"
    );
    assert!(whole.contains("\nLast run      success"), "{whole}");
    // What is wrong stands first, and with it the command that ends it.
    lab.set("monitoring.maxAge", "2h");
    let late = lab.at(noon, &["status"]).expect(0).stdout;
    let first =
        "warning: a backup is overdue; last backup 10 hours ago hint: `backup now` makes one";
    assert!(in_one_line(&late).starts_with(first), "{late}");
    assert!(
        late.contains("\nOverdue ") && !late.contains("Destination"),
        "{late}"
    );
    let json = lab.at(noon, &["status", "--json"]).expect(0).json();
    assert_eq!(json["remedy"], "`backup now` makes one");
    // What stands in the way of any run goes before that, and is told once.
    lab.set("local.requireMount", true);
    let told = lab.at(noon, &["status"]).expect(0).stdout;
    assert_eq!(told.matches("hint:").count(), 1, "{told}");
    assert!(
        !in_one_line(&told).contains("`backup now` makes one"),
        "{told}"
    );
}

#[test]
fn a_first_backup_is_asked_for_by_its_command() {
    let lab = Lab::short();
    let told = lab.run(&["status"]).expect(0).stdout;
    assert!(
        in_one_line(&told).starts_with("no backup yet hint: `backup now` makes the first one"),
        "{told}"
    );
}
