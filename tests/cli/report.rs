//! `report`: how the backups went, as a page, as data and as text.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink},
    path::PathBuf,
};

use schema::output::period_report::PeriodReport;
use serde_json::json;

use crate::lab::{Lab, entry_names, everything_below, id_of, run_command, skip};

const NOON: &str = "2025-03-12T12:00:00+01:00";

fn night(day: u32) -> String {
    format!("2025-03-{day:02}T02:00:00+01:00")
}

/// A lab with a schedule and a week of nights, in which letters grow and a folder has a hostile name.
fn week() -> Lab {
    let mut lab = Lab::new();
    lab.set("schedule.enable", true);
    let hostile = "home/ann/<script>alert(1)<\\x>\u{1b}[31m";
    for day in 6..=12 {
        lab.write(&format!("{hostile}/{day}"), &"x".repeat(100_000));
        lab.write("home/ann/letter.txt", &"dear all\n".repeat(day as usize));
        lab.backup(&night(day));
    }
    lab
}

/// All that is stored, remembered and backed up.
fn kept(lab: &Lab) -> [BTreeMap<PathBuf, String>; 3] {
    ["mnt", "state", "home"].map(|folder| everything_below(&lab.path(folder)))
}

fn report(lab: &Lab, more: &[&str]) -> PeriodReport {
    let words = [&["report", "--json"], more].concat();
    let told = lab.at(NOON, &words).expect(0);
    serde_json::from_value(told.json()).unwrap()
}

#[test]
fn the_report_has_runs_sizes_folders_and_how_long_each_snapshot_stays() {
    let lab = week();
    let report = report(&lab, &["--since", "2025-03-10"]);
    assert_eq!(report.since.to_rfc3339(), "2025-03-10T00:00:00+01:00");
    let [own] = report.destinations.as_slice() else {
        panic!("{report:#?}");
    };
    assert_eq!(
        (own.runs.len(), own.sizes.len(), own.snapshots.len()),
        (7, 7, 7)
    );
    assert!(own.sizes.is_sorted_by_key(|one| one.at));
    let newest = &own.snapshots[0];
    assert_eq!(newest.listed.id.to_string(), id_of(&night(12)));
    assert!(
        own.snapshots.iter().all(|one| one.stays.is_some()),
        "{own:#?}"
    );
    assert_eq!(own.foretold_by.as_deref(), Some("daily at 02:00"));

    // Of the last snapshot before the period and the three in it.
    let folders = own.folders.as_ref().unwrap();
    assert_eq!(folders.compared, 4);
    assert_eq!(folders.before.unwrap().to_string(), id_of(&night(9)));
    assert_eq!(folders.all.grown_bytes, 3 * (100_000 + 9));
    assert_eq!(folders.all.changed_files, 6);
    let grown = &folders.growing[0];
    assert_eq!(grown.grown_bytes, 300_000);
    assert!(
        grown
            .path
            .ends_with("/home/ann/<script>alert(1)<\\134x>\\033[31m"),
        "{grown:?}"
    );
    let sum: u64 = folders.largest.iter().map(|one| one.bytes).sum();
    assert_eq!(sum, folders.all.bytes);
    assert_eq!(own.sizes.last().unwrap().bytes, folders.all.bytes);
}

#[test]
fn the_page_is_its_owners_alone_and_nothing_else_is_written() {
    let lab = week();
    let before = kept(&lab);
    let page = lab.text("page.html");
    let told = lab.at(NOON, &["report", "--html", &page]).expect(0);
    assert!(
        told.stdout.is_empty() && told.stderr.contains("page.html"),
        "{told}"
    );
    let text = fs::read_to_string(&page).unwrap();
    assert!(
        text.starts_with("<!DOCTYPE html>") && text.contains("7 of 7"),
        "{text}"
    );
    assert!(
        text.contains("&lt;script&gt;alert(1)") && !text.contains("<script"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'));
    let mode = fs::metadata(&page).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    // The same file again, and both at once. How much is free may be another number by now.
    fs::write(&page, "old").unwrap();
    let both = lab
        .at(NOON, &["report", "--json", "--html", &page])
        .expect(0);
    assert_eq!(both.json()["host"], "atlas");
    let text = fs::read_to_string(&page).unwrap();
    assert!(text.starts_with("<!DOCTYPE html>"), "{text}");
    fs::remove_file(&page).unwrap();
    assert!(before == kept(&lab));
}

#[test]
fn a_page_that_sudo_writes_into_the_home_of_its_caller_is_the_callers() {
    const CALLER: u32 = 65534;
    if !nix::unistd::geteuid().is_root() {
        return skip("a_page_that_sudo_writes because only root can");
    }
    let lab = week();
    let home = lab.path("desk");
    fs::create_dir(&home).unwrap();
    chown(&home, Some(CALLER), Some(CALLER)).unwrap();
    let page = lab.text("desk/page.html");
    let write = |caller: Option<&str>| {
        let arguments = ["report", "--html", &page];
        let mut command = lab.command(&arguments);
        command.env_remove("SUDO_UID");
        command.envs(caller.map(|caller| ("SUDO_UID", caller)));
        run_command(command, &arguments)
    };
    for other in [None, Some("1"), Some("")] {
        write(other).expect(4).says("not to be trusted");
    }
    for _ in 0..2 {
        write(Some("65534")).expect(0);
        let written = fs::metadata(&page).unwrap();
        assert_eq!((written.uid(), written.mode() & 0o7777), (CALLER, 0o600));
    }
    assert_eq!(entry_names(&home), ["page.html"]);
}

#[test]
fn a_page_takes_the_place_of_no_other_thing_and_stands_among_no_snapshots() {
    let lab = week();
    symlink(lab.stored(""), lab.path("shortcut")).unwrap();
    symlink("letter.txt", lab.path("home/ann/link")).unwrap();
    let before = kept(&lab);
    for place in [
        lab.stored("page.html"),
        lab.stored("latest/page.html"),
        lab.stored("daily")
            .join(id_of(&night(12)))
            .join("page.html"),
        lab.stored(".backup/page.html"),
    ] {
        let told = lab.run(&["report", "--html", place.to_str().unwrap()]);
        told.expect(4)
            .says("among the snapshots")
            .hints("elsewhere");
    }
    let by_link = lab.text("shortcut/page.html");
    lab.run(&["report", "--html", &by_link])
        .expect(4)
        .says("among the snapshots");
    lab.run(&["report", "--html", &lab.text("home")])
        .expect(4)
        .says("is a folder");
    lab.run(&["report", "--html", &lab.text("home/ann/link")])
        .expect(4)
        .says("is a symlink");
    // Where others can write a page is no page: but nobody gives a folder away for that.
    let open = lab.path("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    lab.run(&["report", "--html", &lab.text("open/page.html")])
        .expect(4)
        .says("not to be trusted")
        .says("hint: name a file where nobody else can write");
    lab.run(&["report", "--html", &lab.text("none/page.html")])
        .expect(1)
        .says("none");
    assert!(before == kept(&lab));
}

#[test]
fn as_text_it_says_the_same_in_short() {
    let lab = week();
    let told = lab.at(NOON, &["report", "--since", "2025-03-10"]).expect(0);
    for part in [
        "Backups of atlas: all is well",
        "10 Mar 2025 to 12 Mar 2025, 12:00 (2 days)",
        "3 of 3 (none failed)",
        "+293.0 KiB",
    ] {
        assert!(told.stdout.contains(part), "{part}: {told}");
    }
    // Of all time, as far as anything is known of it.
    let all = report(&lab, &["--since", "2000-01-01"]);
    assert_eq!(all.since.to_rfc3339(), "2000-01-01T00:00:00+01:00");
    assert_eq!((all.made_at - all.shown_from).num_weeks(), 13);
    let wrong = lab.at(NOON, &["report", "--since", "soon"]).expect(2);
    wrong.says("--since soon").hints("2 weeks ago");
    lab.at(NOON, &["report", "--since", "2025-04-01"])
        .expect(2)
        .says("is yet to come");
}

#[test]
fn what_cannot_be_looked_at_is_told_with_what_to_do_and_nothing_is_well() {
    let lab = week();
    let id = id_of(&night(12));
    let segment = format!(".backup/snapshots/{id}/manifest/manifest.000001.zst");
    fs::write(lab.stored(&segment), "damaged").unwrap();
    let told = lab.at(NOON, &["report", "--json"]).expect(3).json();
    assert_eq!(told["verdict"], "warning");
    let gap = told["not_told"][0].as_str().unwrap();
    assert!(
        gap.contains("was sealed") && gap.contains(&format!("`backup verify {id} --repair`")),
        "{gap}"
    );
    assert_eq!(told["destinations"][0]["folders"], json!(null));
}

#[test]
fn before_the_first_backup_and_while_the_drive_is_away_it_says_so() {
    let mut lab = Lab::new();
    let none = report(&lab, &[]);
    assert_eq!(json!(none.verdict), "error");
    assert!(none.summary.starts_with("no backup yet"), "{none:?}");
    assert!(!lab.path("state").exists());
    lab.backup(&night(12));
    lab.set("local.requireMount", true);
    let away = report(&lab, &[]);
    assert_ne!(json!(away.verdict), "ok");
    let own = &away.destinations[0];
    // What the runs tell is there all the same.
    assert_eq!(
        (own.snapshots.len(), own.runs.len(), own.sizes.len()),
        (0, 1, 1)
    );
    assert_eq!(own.folders, None);
    assert_eq!(entry_names(&lab.path("mnt")), ["atlas"]);
}

#[test]
fn each_of_several_destinations_is_told_of_by_its_name() {
    let mut lab = Lab::new();
    fs::create_dir(lab.path("usb")).unwrap();
    lab.set(
        "destinations",
        json!({"usb": {"type": "disk", "mountPoint": lab.text("usb"), "requireMount": false, "minSpaceGB": 0}}),
    );
    lab.backup(&night(12));
    let told = report(&lab, &[]);
    let names: Vec<String> = told
        .destinations
        .iter()
        .map(|one| one.name.as_ref().unwrap().to_string())
        .collect();
    assert_eq!(names, ["local", "usb"]);
    for one in &told.destinations {
        assert_eq!((one.runs.len(), one.snapshots.len()), (1, 1), "{one:#?}");
        assert!(one.folders.is_some());
    }
    let text = lab.at(NOON, &["report"]).expect(0).stdout;
    assert!(text.contains("\nusb ("), "{text}");
}
