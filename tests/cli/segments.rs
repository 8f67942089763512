//! Manifests in segments, which snapshots share: what damage to one means for all of them, how it is
//! made good, and disks on which older releases left manifests in one file.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use executor::{
    manifest::{Entry, Reader},
    sys::Dir,
};
use serde_json::Value;
use test_support::{check_with_example, flip_byte};

use crate::{
    damage::{FIRST, FOURTH, SECOND, THIRD, VICTIM, damage, nights, stored},
    lab::{Lab, can_trace, entry_names, finding_codes, id_of, run_command, skip},
    manifests::{manifest, records, write_whole},
    tampered::change_record,
};

/// The segments of a night's manifest, in their order.
fn segments(lab: &Lab, night: &str) -> Vec<PathBuf> {
    let folder = records(lab, night).join("manifest");
    let names = entry_names(&folder).into_iter();
    let names = names.filter(|name| name != "SHA256SUMS");
    names.map(|name| folder.join(name)).collect()
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

fn inodes(lab: &Lab, night: &str) -> BTreeSet<u64> {
    segments(lab, night)
        .iter()
        .map(|path| inode(path))
        .collect()
}

fn entries(lab: &Lab, night: &str) -> Vec<Entry> {
    let records = Dir::from_fd(File::open(records(lab, night)).unwrap().into());
    let reader = Reader::of_records(&records).unwrap();
    reader.map(Result::unwrap).collect()
}

/// Whoever knows the page on formats alone finds all of it whole.
#[track_caller]
fn check_by_page(lab: &Lab) {
    if let Some(read) = check_with_example("segments", &lab.stored(""), None) {
        read.expect(0);
    }
}

/// A lab with so many files that a manifest has several segments, wherever their paths, which are others
/// each time, put the borders.
fn large() -> Lab {
    let lab = Lab::new();
    for number in 0..8000 {
        let folder = number / 40;
        lab.write(
            &format!("home/many/{folder:03}/{number:05}"),
            &format!("{number}\n"),
        );
    }
    lab
}

#[test]
fn what_did_not_change_is_the_same_file_in_the_next_snapshot() {
    let lab = large();
    lab.backup(FIRST);
    lab.backup(SECOND);
    lab.write("home/many/050/02000", "changed\n");
    lab.backup(THIRD);
    let all = inodes(&lab, FIRST);
    assert!(all.len() > 4, "{all:?}");
    // The snapshot's own entry has a time of its own, and others may work in the folders above the source.
    let new = |night| inodes(&lab, night).difference(&all).count();
    assert!((1..=2).contains(&new(SECOND)), "{}", new(SECOND));
    assert!((2..=3).contains(&new(THIRD)), "{}", new(THIRD));
    assert_eq!(lab.record(&id_of(THIRD))["format_version"], 2);
    check_by_page(&lab);
    // Deleting one takes nothing from the others.
    lab.run(&["delete", "--yes", &id_of(FIRST)]).expect(0);
    lab.run(&["verify", "--all"]).expect(0).says("Whole.");
}

#[test]
fn where_a_segment_can_have_no_more_names_it_is_copied_and_where_none_can_all_are() {
    if !can_trace() {
        return skip("where_a_segment_can_have_no_more_names: no strace here");
    }
    let lab = large();
    lab.backup(FIRST);
    let digests = |night| -> Vec<String> {
        let list = fs::read_to_string(manifest(&lab, night)).unwrap();
        list.lines().map(|line| line[..64].to_owned()).collect()
    };
    let nights = [
        (FIRST, SECOND, "EMLINK", true),
        (SECOND, THIRD, "EPERM", false),
    ];
    for (basis, night, error, is_one) in nights {
        let from = records(&lab, basis).join("manifest");
        let inject = format!("inject=linkat:error={error}:when=1");
        let options = ["-f", "-qq", "-o", "/dev/null", "-e", "trace=linkat", "-P"];
        let options = [&options[..], &[from.to_str().unwrap(), "-e", &inject]].concat();
        let arguments = ["apply", "--now", night];
        let traced = lab.command_below("strace", &options, &arguments);
        run_command(traced, &arguments).expect(0);
        let (before, linked) = (digests(basis), inodes(&lab, basis));
        let same = segments(&lab, night).into_iter().zip(digests(night));
        let same = same.filter(|(_, digest)| before.contains(digest));
        let (linked, copied): (Vec<_>, Vec<_>) =
            same.partition(|(path, _)| linked.contains(&inode(path)));
        assert_eq!(copied.len() == 1, is_one, "{error}: {copied:?}");
        assert_eq!(linked.is_empty(), !is_one, "{error}: {linked:?}");
        assert!(linked.len() + copied.len() > 2, "{error}");
    }
    lab.run(&["verify", "--all"]).expect(0).says("Whole.");
}

#[test]
fn a_damaged_segment_is_named_for_all_that_share_it_and_one_command_heals_them() {
    let lab = large();
    for night in [FIRST, SECOND, THIRD] {
        lab.backup(night);
    }
    let shared = segments(&lab, SECOND).pop().unwrap();
    let before = inode(&shared);
    assert!(inodes(&lab, FIRST).contains(&before) && inodes(&lab, THIRD).contains(&before));
    flip_byte(&shared);
    let ran = lab.run(&["verify", &id_of(SECOND), "--json"]).expect(3);
    let found = damage(&ran);
    assert_eq!(found.len(), 1, "{found:?}");
    let roots = [FIRST, SECOND, THIRD].map(|night| format!("{}/", id_of(night)));
    assert_eq!(
        (found[0].0.as_str(), &found[0].1[..]),
        ("manifest", &roots[..])
    );
    assert!(found[0].2.contains("-last.zst"), "{found:?}");
    // Whoever only looks is told of all of them.
    for night in [FIRST, SECOND, THIRD] {
        lab.at(FOURTH, &["status"])
            .says(&format!("the manifest of snapshot {}", id_of(night)));
    }
    lab.run(&["verify", &id_of(SECOND), "--repair"])
        .expect(0)
        .says("the records of 3 snapshots made anew")
        .says("Whole.");
    lab.run(&["verify", "--all"]).expect(0).says("Whole.");
    for night in [FIRST, SECOND, THIRD] {
        assert!(!inodes(&lab, night).contains(&before), "{night}");
        assert!(lab.record(&id_of(night))["manifest_rebuilt_at"].is_string());
    }
    let status = lab.at(FOURTH, &["status"]).expect(0);
    assert!(!status.stdout.contains("manifest of"), "{}", status.stdout);
    let report = lab.backup(FOURTH);
    assert_eq!(
        lab.record(report["snapshot"]["id"].as_str().unwrap())["basis"],
        *id_of(THIRD)
    );
    assert_eq!(report["snapshot"]["totals"]["files_copied"], 0);
}

/// What happens to a segment of one snapshot alone.
type Fault = (&'static str, fn(&[PathBuf]));

const FAULTS: [Fault; 4] = [
    ("missing", |of| fs::remove_file(&of[2]).unwrap()),
    ("another file", |of| {
        fs::remove_file(&of[2]).unwrap();
        fs::write(&of[2], "rubbish").unwrap();
    }),
    ("exchanged", |of| {
        let beside = of[2].with_extension("beside");
        fs::rename(&of[3], &beside).unwrap();
        fs::rename(&of[2], &of[3]).unwrap();
        fs::rename(&beside, &of[2]).unwrap();
    }),
    ("a link to the list", |of| {
        fs::remove_file(&of[2]).unwrap();
        std::os::unix::fs::symlink("SHA256SUMS", &of[2]).unwrap();
    }),
];

#[test]
fn a_segment_that_another_snapshot_has_whole_comes_back_as_it_was_sealed() {
    for (fault, act) in FAULTS {
        let lab = large();
        lab.backup(FIRST);
        lab.backup(SECOND);
        let (id, sealed, before) = (
            id_of(SECOND),
            lab.record(&id_of(SECOND)),
            entries(&lab, SECOND),
        );
        let list = fs::read(manifest(&lab, SECOND)).unwrap();
        act(&segments(&lab, SECOND));
        let ran = lab.run(&["verify", &id, "--quick", "--json"]).expect(3);
        let found = damage(&ran);
        assert_eq!(found[0].1, [format!("{id}/")], "{fault}: {found:?}");
        lab.run(&["verify", &id, "--quick", "--repair"]).expect(0);
        assert_eq!(lab.record(&id), sealed, "{fault}");
        assert_eq!(fs::read(manifest(&lab, SECOND)).unwrap(), list, "{fault}");
        assert_eq!(entries(&lab, SECOND), before, "{fault}");
        lab.run(&["verify", "--all"]).expect(0).says("Whole.");
    }
}

#[test]
fn a_damaged_segment_of_all_snapshots_costs_the_next_backup_what_it_listed() {
    let lab = large();
    lab.backup(FIRST);
    lab.backup(SECOND);
    let before = entries(&lab, SECOND);
    let shared = segments(&lab, SECOND)[2].clone();
    flip_byte(&shared);
    lab.write(VICTIM, "dear nobody\n");
    let plan = lab.at(THIRD, &["plan", "--json"]).expect(0).json();
    let found = finding_codes(&plan["findings"]);
    assert!(found.contains(&"snapshot-manifest-damaged"), "{found:?}");
    let report = lab.backup(THIRD);
    assert_eq!(report["result"], "success");
    assert_eq!(lab.record(&id_of(THIRD))["basis"], *id_of(SECOND));
    let totals = &report["snapshot"]["totals"];
    let copied = totals["files_copied"].as_u64().unwrap();
    assert!((400..4300).contains(&copied), "{totals}");
    assert_eq!(
        fs::read(stored(&lab, THIRD, VICTIM)).unwrap(),
        b"dear nobody\n"
    );
    // The new one is whole, and the others are healed: what was not lost stays as it was sealed.
    lab.run(&["verify", &id_of(THIRD)]).expect(0);
    lab.at(FOURTH, &["status"])
        .says(&format!("the manifest of snapshot {}", id_of(SECOND)));
    lab.run(&["verify", "--all", "--repair"])
        .expect(0)
        .says("the records of 2 snapshots made anew");
    lab.run(&["verify", "--all"]).expect(0).says("Whole.");
    let after = entries(&lab, SECOND);
    let digests = |all: &[Entry]| -> Vec<_> {
        all.iter()
            .map(|one| (one.path.clone(), one.size, one.digest))
            .collect()
    };
    assert_eq!(digests(&after), digests(&before));
    let changed = after
        .iter()
        .zip(&before)
        .filter(|(after, before)| after != before);
    let changed = changed.count() as u64;
    assert!((400..4300).contains(&changed), "{changed}");
    let report = lab.backup(FOURTH);
    assert_eq!(report["snapshot"]["totals"]["files_copied"], 0);
}

#[test]
fn what_a_damaged_segment_listed_is_unknown_and_the_rest_is_found() {
    let lab = large();
    lab.backup(FIRST);
    lab.backup(SECOND);
    lab.write("home/many/199/07999", "changed\n");
    lab.backup(THIRD);
    let paths = |ran: &Value| ran["paths"].as_array().unwrap().len();
    let whole = lab.run(&["find", "*", "--json"]).expect(0).json();
    let lost = segments(&lab, SECOND)[2].clone();
    flip_byte(&lost);
    let found = lab.run(&["find", "*", "--json"]).expect(3).json();
    let missing = paths(&whole) - paths(&found);
    assert!((400..4300).contains(&missing), "{missing}");
    assert_eq!(
        found["not_searched"].as_array().unwrap().len(),
        3,
        "{found}"
    );
    // A path of another segment is found without a word of it.
    let other = lab.text("home/many/199/07999");
    let found = lab.run(&["find", &other, "--json"]).expect(0).json();
    assert_eq!(
        found["paths"][0]["versions"].as_array().unwrap().len(),
        2,
        "{found}"
    );
    lab.run(&["diff", &id_of(FIRST), &id_of(THIRD), &other])
        .expect(0);
    lab.run(&["diff", &id_of(FIRST), &id_of(THIRD)])
        .expect(1)
        .hints("--repair");
}

/// Makes a snapshot one that an older release sealed: its manifest is one file.
fn make_old(lab: &Lab, night: &str) {
    let all = entries(lab, night);
    let digest = write_whole(&records(lab, night), |writer| {
        for entry in &all {
            writer.write(entry).unwrap();
        }
    });
    change_record(&records(lab, night).join("snapshot.json"), |record| {
        record["format_version"] = 1.into();
        record["manifest"] = "manifest.mtree.zst".into();
        record["manifest_digest"] = digest.to_string().into();
    });
}

#[test]
fn a_disk_of_an_older_release_goes_on() {
    let lab = large();
    lab.backup(FIRST);
    lab.backup(SECOND);
    for night in [FIRST, SECOND] {
        make_old(&lab, night);
    }
    fs::remove_file(lab.path("state/sealed.json")).unwrap();
    lab.write(VICTIM, "dear nobody\n");
    let report = lab.backup(THIRD);
    assert_eq!(lab.record(&id_of(THIRD))["basis"], *id_of(SECOND));
    assert_eq!(report["snapshot"]["totals"]["files_copied"], 1);
    assert!(segments(&lab, THIRD).len() > 3);
    lab.run(&["verify", "--all"]).expect(0).says("Whole.");
    check_by_page(&lab);
    let path = lab.text(VICTIM);
    let found = lab.run(&["find", &path, "--json"]).expect(0).json();
    assert_eq!(
        found["paths"][0]["versions"].as_array().unwrap().len(),
        2,
        "{found}"
    );
    let diff = lab
        .run(&["diff", &id_of(SECOND), &id_of(THIRD), "--json"])
        .expect(0)
        .json();
    assert_eq!(diff["totals"]["changed"]["count"], 1, "{diff}");
    lab.run(&["restore", &id_of(FIRST), &path, "back"])
        .expect(0);
    // A damaged one is made anew in segments.
    flip_byte(&records(&lab, FIRST).join("manifest.mtree.zst"));
    lab.run(&["verify", &id_of(FIRST), "--repair"]).expect(0);
    assert!(
        records(&lab, FIRST)
            .join("manifest.mtree.zst.damaged")
            .is_file()
    );
    assert!(!records(&lab, FIRST).join("manifest.mtree.zst").exists());
    assert_eq!(lab.record(&id_of(FIRST))["format_version"], 2);
    lab.run(&["verify", "--all"]).expect(0).says("Whole.");
}

#[test]
fn what_an_older_release_made_anew_of_segments_is_read() {
    let lab = nights(&[FIRST, SECOND]);
    let kept = lab.path("kept");
    crate::damage::copy(&records(&lab, SECOND).join("manifest"), &kept);
    make_old(&lab, SECOND);
    fs::rename(&kept, records(&lab, SECOND).join("manifest")).unwrap();
    change_record(&records(&lab, SECOND).join("snapshot.json"), |record| {
        record["format_version"] = 2.into();
    });
    fs::remove_file(lab.path("state/sealed.json")).unwrap();
    lab.run(&["verify", "--all"]).expect(0).says("Whole.");
    check_by_page(&lab);
    let report = lab.backup(THIRD);
    assert_eq!(report["snapshot"]["totals"]["files_copied"], 0);
}

#[test]
fn a_list_leads_nowhere_else() {
    let lab = nights(&[FIRST, SECOND]);
    let list = manifest(&lab, SECOND);
    let sealed = fs::read_to_string(&list).unwrap();
    let first = sealed.lines().next().unwrap();
    for planted in [
        sealed.replace("manifest.000001.zst", "../../../../../x.zs"),
        sealed.replace("manifest.000001.zst", "/etc/././././passwd"),
        format!("{first}\n").repeat(100_000),
        sealed.replace("-last", ""),
        format!("{first}\n"),
        String::new(),
    ] {
        fs::write(&list, planted).unwrap();
        lab.run(&["verify", &id_of(SECOND)])
            .expect(3)
            .says("manifest");
        lab.run(&["find", "letter.txt"])
            .expect(3)
            .says(&format!("not searched: {}", id_of(SECOND)));
        lab.run(&["restore", &id_of(SECOND), &lab.text(VICTIM), "it"])
            .expect(3);
        fs::remove_file(lab.path("it")).unwrap();
    }
    lab.run(&["verify", &id_of(SECOND), "--repair"])
        .expect(0)
        .says("Whole.");
    assert_eq!(fs::read_to_string(&list).unwrap(), sealed);
}
