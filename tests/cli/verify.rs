//! `verify`: what is read and how often, what is remembered, what is refused.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write as _,
    os::unix::fs::{MetadataExt as _, symlink},
    path::PathBuf,
    process::Command,
};

use executor::{
    clock::Clock,
    event::{Context, Event, Observer, Stop},
    store::Store,
    sys::resolve::resolve,
    verify::{self, snapshots},
};
use schema::verify::{Depth, Verdict};
use test_support::flip_byte;

use crate::{
    damage::{
        FIRST, FOURTH, SECOND, THIRD, VICTIM, damage, name, nights, stored, thousand_files, unseen,
    },
    lab::{
        HOST, Lab, PROGRAM, can_trace, id_of, is_installed, run_command, skip, wait_for,
        wait_for_child,
    },
};

#[test]
fn an_inode_that_three_snapshots_share_is_read_once_and_named_thrice() {
    let lab = nights(&[FIRST, SECOND, THIRD]);
    fs::hard_link(lab.path(VICTIM), lab.path("home/bob/copy")).unwrap();
    lab.backup(FOURTH);
    let victim = stored(&lab, SECOND, VICTIM);
    unseen(&victim, || flip_byte(&victim));
    let all = lab.run(&["verify", "--all", "--json"]).expect(3);
    let found = damage(&all);
    assert_eq!(found.len(), 1, "{found:?}");
    let mut expected: Vec<String> = [FIRST, SECOND, THIRD, FOURTH]
        .map(|night| name(&lab, night, VICTIM))
        .into();
    expected.push(name(&lab, FOURTH, "home/bob/copy"));
    expected.sort();
    assert_eq!(found[0].1, expected);
    // Each stored inode once, whatever the number of names.
    let inodes = inodes(&lab);
    assert_eq!(all.json()["files_read"], inodes.len());
    let bytes: u64 = inodes.values().sum();
    assert_eq!(all.json()["bytes_read"], bytes);

    // One snapshot is asked for, and all that share the damage are named.
    let one = damage(&lab.run(&["verify", "latest", "--json"]).expect(3));
    assert_eq!(one, found);
    let told = lab.run(&["verify", &id_of(FIRST)]).expect(3);
    for night in [FIRST, SECOND, THIRD, FOURTH] {
        assert!(told.stdout.contains(&id_of(night)), "{told}");
    }
}

/// Inode and size of every regular file in all snapshots.
fn inodes(lab: &Lab) -> BTreeMap<u64, u64> {
    let tiers = ["daily", "weekly", "monthly"].map(|tier| lab.stored(tier));
    let entries = tiers.iter().flat_map(walkdir::WalkDir::new);
    entries
        .map(|entry| entry.unwrap().metadata().unwrap())
        .filter(fs::Metadata::is_file)
        .map(|of| (of.ino(), of.size()))
        .collect()
}

#[test]
fn strace_sees_each_stored_file_opened_once() {
    if !can_trace() {
        return skip("strace_sees_each_stored_file_opened_once: strace may not trace here");
    }
    let lab = nights(&[FIRST, SECOND, THIRD]);
    let command = lab.command(&["verify", "--all"]);
    let mut traced = lab.bare("strace");
    traced
        .args(["-f", "-qq", "-e", "trace=openat", "-o"])
        .arg(lab.path("trace"))
        .arg(PROGRAM)
        .args(command.get_args());
    run_command(traced, &["strace"]).expect(0);
    let trace = fs::read_to_string(lab.path("trace")).unwrap();
    for file in ["letter.txt", "photo.jpg", "list.md"] {
        assert_eq!(trace.matches(&format!("\"{file}\"")).count(), 1, "{file}");
    }
}

#[test]
fn the_parts_of_a_subset_read_every_stored_file_exactly_once() {
    let lab = thousand_files();
    lab.write("home/more/1/1", "changed");
    lab.backup(SECOND);
    let inodes = inodes(&lab);
    let (mut files, mut bytes) = (0, 0);
    for part in 1..=5 {
        let subset = format!("{part}/5");
        let ran = lab
            .run(&["verify", "--subset", &subset, "--json"])
            .expect(0);
        let read = ran.json()["files_read"].as_u64().unwrap();
        assert!(read > 100, "{read}");
        files += read;
        bytes += ran.json()["bytes_read"].as_u64().unwrap();
        assert_eq!(ran.json()["snapshots"].as_array().unwrap().len(), 2);
    }
    assert_eq!(files, inodes.len() as u64);
    assert_eq!(bytes, inodes.values().sum::<u64>());

    let victim = stored(&lab, SECOND, VICTIM);
    unseen(&victim, || flip_byte(&victim));
    let codes: Vec<i32> = (1..=5)
        .map(|part| lab.run(&["verify", "--subset", &format!("{part}/5")]).code)
        .collect();
    assert_eq!(
        codes.iter().filter(|code| **code == 3).count(),
        1,
        "{codes:?}"
    );
    assert_eq!(
        codes.iter().filter(|code| **code == 0).count(),
        4,
        "{codes:?}"
    );

    let one = lab.run(&["verify", &id_of(FIRST), "--subset", "1/1", "--json"]);
    assert_eq!(one.json()["snapshots"].as_array().unwrap().len(), 1);
    for wrong in ["0/3", "4/3", "3", "a/b", "1/0"] {
        lab.run(&["verify", "--subset", wrong])
            .expect(2)
            .says("2/7");
    }
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let mut lab = Lab::new();
    lab.run(&["verify"])
        .expect(4)
        .says("nothing was ever backed up")
        .hints("backup apply");
    lab.backup(FIRST);
    lab.run(&["verify", "2020-01-01_00-00-00"])
        .expect(4)
        .says("there is no snapshot `2020-01-01_00-00-00`")
        .hints("backup list");
    fs::create_dir(lab.stored("daily/by hand")).unwrap();
    lab.run(&["verify", "daily/by hand"])
        .expect(4)
        .says("was not made by this program");
    lab.run(&["verify", "yearly/2020-01-01_00-00-00"]).expect(4);
    lab.run(&["verify", "--all", "latest"]).expect(2);
    lab.run(&["verify", "--quick", "--full"]).expect(2);
    lab.set("local.requireMount", true);
    for how in [&["verify"][..], &["verify", "--repair"]] {
        lab.run(how)
            .expect(4)
            .says("destination not mounted")
            .hints("mountpoint");
    }
    lab.set("local.requireMount", false);
    for named in [
        "latest",
        "monthly/latest",
        &format!("daily/{}", id_of(FIRST)),
    ] {
        lab.run(&["verify", named]).expect(0);
    }
}

#[test]
fn nothing_is_written_to_sources_or_destination_and_no_lock_is_needed() {
    let lab = nights(&[FIRST, SECOND]);
    let everything = || {
        let mut all = crate::lab::everything_below(&lab.path("mnt"));
        all.extend(crate::lab::everything_below(&lab.path("home")));
        all
    };
    let before = everything();
    let lock = File::open(lab.stored(".backup/lock")).unwrap();
    lock.lock().unwrap();
    let own = File::open(lab.path("state/lock")).unwrap();
    own.lock().unwrap();
    for how in [
        &["verify"][..],
        &["verify", "--all"],
        &["verify", "--quick"],
    ] {
        lab.run(how).expect(0);
    }
    let victim = stored(&lab, SECOND, VICTIM);
    unseen(&victim, || flip_byte(&victim));
    let damaged = everything();
    lab.run(&["verify"]).expect(3);
    assert_eq!(everything(), damaged);
    assert_eq!(before.len(), damaged.len());
    // A repair does need it.
    lab.run(&["verify", "--repair"]).expect(75);
    assert_eq!(everything(), damaged);
}

#[test]
fn what_was_found_is_remembered_and_a_damaged_file_is_never_linked_to_again() {
    let lab = nights(&[FIRST, SECOND]);
    lab.run(&["verify"]).expect(0);
    let list = lab.run(&["list", "--json"]).json();
    let verified = |at: usize| list["snapshots"][at]["verified_at"].is_string();
    assert_eq!([verified(0), verified(1)], [true, false]);

    let victim = stored(&lab, SECOND, VICTIM);
    let inode = victim.metadata().unwrap().ino();
    unseen(&victim, || flip_byte(&victim));
    lab.run(&["verify", "--quick"]).expect(0);
    lab.run(&["verify"]).expect(3);
    let list = lab.run(&["list", "--json"]).json();
    assert!(list["snapshots"][0]["verified_at"].is_null());
    let status = lab.run(&["status", "--json"]).json();
    assert_eq!(status["damaged"][0]["inode"], inode);
    assert_eq!(status["verdict"], "warning");
    lab.run(&["status"])
        .says("1 stored file is damaged")
        .says("backup verify ")
        .says(" --repair");
    let plan = lab.at(THIRD, &["plan", "--json"]).expect(0).json();
    assert_eq!(
        crate::lab::finding_codes(&plan["findings"]),
        ["damaged-files"]
    );
    let snapshot = crate::lab::plan_action(&plan, "snapshot");
    assert_eq!(snapshot["never_link"], serde_json::json!([inode]));

    let report = lab.backup(THIRD);
    assert_eq!(report["snapshot"]["totals"]["files_copied"], 1);
    let new = stored(&lab, THIRD, VICTIM);
    assert_ne!(new.metadata().unwrap().ino(), inode);
    assert_eq!(fs::read_to_string(&new).unwrap(), "dear all\n");
    lab.run(&["verify"]).expect(0);
    // The old ones are damaged yet, and the next is linked to the new file.
    assert_eq!(
        lab.run(&["status", "--json"]).json()["damaged"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let report = lab.backup(FOURTH);
    assert_eq!(report["snapshot"]["totals"]["files_copied"], 0);
}

#[test]
fn a_saved_plan_is_stale_once_damage_is_known() {
    let lab = nights(&[FIRST]);
    lab.at(SECOND, &["plan", "--out", "saved"]).expect(0);
    let victim = stored(&lab, FIRST, VICTIM);
    unseen(&victim, || flip_byte(&victim));
    lab.run(&["verify"]).expect(3);
    lab.at(SECOND, &["apply", "saved"]).expect(4);
}

#[test]
fn a_signal_ends_it_and_says_that_nothing_was_changed() {
    let lab = nights(&[FIRST]);
    let mut file = File::create(lab.path("home/ann/large")).unwrap();
    for _ in 0..64 {
        file.write_all(&vec![7; 4 << 20]).unwrap();
    }
    lab.backup(SECOND);
    let mut command = lab.command(&["verify", "--json"]);
    let child = command.spawn().unwrap();
    let open = PathBuf::from(format!("/proc/{}/fd", child.id()));
    wait_for("the large file to be read", || {
        let all = fs::read_dir(&open).into_iter().flatten().flatten();
        let leads = all.filter_map(|one| fs::read_link(one.path()).ok());
        leads
            .into_iter()
            .any(|target| target.ends_with("home/ann/large"))
    });
    let done = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(done.unwrap().success());
    let ran = wait_for_child(child, &["verify"]);
    ran.expect(130).hints("nothing was changed");
    assert!(!lab.path("state/verified.json").exists());
}

#[test]
fn the_program_under_its_own_name_verifies_the_latest_in_full() {
    let lab = nights(&[FIRST, SECOND]);
    symlink(PROGRAM, lab.path("backup-verify")).unwrap();
    let mut command = lab.bare(lab.path("backup-verify"));
    let under_its_name = lab.command(&["--json"]);
    command.args(under_its_name.get_args());
    let ran = run_command(command, &["backup-verify"]).expect(0);
    let json = ran.json();
    assert_eq!(json["depth"]["kind"], "full");
    assert_eq!(json["snapshots"][0]["id"], *id_of(SECOND));
    assert_eq!(json["snapshots"][0]["verdict"], "whole");
    assert_eq!(json["files_read"], 3);
    assert!(ran.stderr.contains(r#""phase":"verify""#), "{ran}");
}

#[test]
fn what_the_destination_adds_by_itself_is_no_damage() {
    if !is_installed("setfacl") {
        return skip("what_the_destination_adds_by_itself: setfacl is not installed");
    }
    let lab = Lab::new();
    let done = Command::new("setfacl")
        .args(["-d", "-m", "u:4321:rwx"])
        .arg(lab.path("mnt"))
        .status();
    assert!(done.unwrap().success());
    lab.backup(FIRST);
    lab.run(&["verify"]).expect(0).says("Whole.");
}

/// Removes a snapshot as soon as the comparison has begun.
struct Removes {
    from: PathBuf,
    to: PathBuf,
}

impl Observer for Removes {
    fn event(&self, _: Event<'_>) {
        // As a rotation does: one rename, then the slow part.
        if fs::rename(&self.from, &self.to).is_ok() {
            fs::remove_dir_all(&self.to).unwrap();
        }
    }
}

#[test]
fn a_snapshot_that_a_run_removes_meanwhile_is_not_damaged() {
    let lab = thousand_files();
    lab.backup(SECOND);
    let mount_point = resolve(&lab.path("mnt")).unwrap().folder().unwrap();
    let store = Store::open(&mount_point, &lab.text("mnt"), HOST);
    let store = store.unwrap().unwrap();
    let offset = *FIRST
        .parse::<chrono::DateTime<chrono::FixedOffset>>()
        .unwrap()
        .offset();
    let all = snapshots::all_snapshots(&store, offset).all;
    let newest = &all[1];
    let observer = Removes {
        from: lab.stored(&format!("{}/{}", newest.home, newest.id)),
        to: lab.stored(&format!(".backup/trash/{}", newest.id)),
    };
    let stop = Stop::default();
    let context = Context {
        observer: &observer,
        stop: &stop,
        clock: Clock::default(),
        threads: 2,
        widens: false,
    };
    let found = verify::verify_snapshots(&store, &all, &[1, 0], Depth::Full, context).unwrap();
    assert_eq!(found.damage, []);
    let verdicts: Vec<_> = found.snapshots.iter().map(|one| one.verdict).collect();
    assert_eq!(verdicts, [Verdict::Removed, Verdict::Whole]);
}
