//! `--dry-run`: what a verb would do, in its own words, and not a byte is written.

use std::fs;

use crate::{
    help::VERBS,
    lab::{Lab, Ran, everything_below, id_of},
};

const FIRST: &str = "2025-01-05T02:00:00+01:00";
const SECOND: &str = "2025-01-06T02:00:00+01:00";

/// Verbs that only show something.
const SHOW: [&str; 12] = [
    // What it does it does by verbs, which show it and ask.
    "browse",
    "check",
    "schema",
    "status",
    "list",
    "find",
    "diff",
    // With --html it writes what is asked for, and nothing else.
    "report",
    "simulate",
    "state",
    "completions",
    // With --dry-run it promises to write nothing at all.
    "plan",
];

/// Runs it with `--dry-run`, which must leave everything below the lab as it was.
#[track_caller]
fn dry(lab: &Lab, words: &[&str]) -> Ran {
    let before = everything_below(&lab.path("."));
    let words = [words, &["--dry-run"]].concat();
    let told = lab.run(&words);
    let after = everything_below(&lab.path("."));
    assert!(before == after, "something was written: {told}");
    told
}

/// What a dry run says that the verb then says, without the line that nothing was done.
#[track_caller]
fn foretold(told: &Ran) -> String {
    let said = told
        .stdout
        .strip_suffix("Nothing was changed (--dry-run).\n");
    said.unwrap_or_else(|| panic!("{told}")).to_owned()
}

/// A text as it is without the line breaks of long paths.
fn in_one_line(said: &str) -> String {
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The dry run, and then the verb itself, which must say the same.
#[track_caller]
fn dry_then_wet(lab: &Lab, words: &[&str]) -> String {
    let said = foretold(&dry(lab, words).expect(0));
    let done = lab.run(words).expect(0);
    assert_eq!(done.stderr, said, "{done}");
    said
}

#[test]
fn every_verb_that_acts_can_be_asked_what_it_would_do() {
    let lab = Lab::new();
    for verb in VERBS {
        let help = lab.run(&[verb, "--help"]).expect(0).stdout;
        let has = help.contains("--dry-run");
        assert!(has || SHOW.contains(&verb), "{verb}");
    }
}

#[test]
fn marks_are_foretold_in_the_words_that_follow() {
    let lab = Lab::new();
    lab.backup(FIRST);
    lab.backup(SECOND);
    let id = id_of(FIRST);
    assert!(dry_then_wet(&lab, &["pin", &id]).contains("is kept whatever the retention says"));
    assert!(dry_then_wet(&lab, &["pin", &id]).contains("was pinned before"));
    assert!(dry_then_wet(&lab, &["unpin", "latest~1"]).contains("left to the retention again"));
    assert!(dry_then_wet(&lab, &["accept", "latest"]).contains("is accepted as it is"));
    let plan = dry(&lab, &["pin", &id, "--json"]).expect(0).json();
    assert_eq!(plan["steps"][1]["action"]["say"], "pin");
    // What the verb refuses, and with which code.
    for words in [
        &["pin", "2024"][..],
        &["accept", "2024"],
        &["unpin", "2024"],
    ] {
        let refused = dry(&lab, words).expect(4);
        assert_eq!(lab.run(words).expect(4).stderr, refused.stderr);
    }
    fs::remove_dir_all(lab.path("mnt/atlas")).unwrap();
    fs::create_dir_all(lab.path("mnt/atlas/.backup")).unwrap();
    fs::write(lab.path("mnt/atlas/.backup/destination.json"), "{").unwrap();
    let refused = dry(&lab, &["pin", "latest"]).expect(4);
    assert_eq!(lab.run(&["pin", "latest"]).expect(4).stderr, refused.stderr);
}

#[test]
fn a_drive_is_added_as_it_was_foretold() {
    let mut lab = Lab::new();
    let said = dry_then_wet(&lab, &["init"]);
    assert!(
        said.starts_with(&format!("set up {}\n", lab.text("mnt/atlas"))),
        "{said}"
    );
    assert!(said.contains("this machine backs up to it"), "{said}");
    assert!(dry_then_wet(&lab, &["init"]).contains("is there"));
    // What another machine left, or this one under its old name.
    lab.backup(FIRST);
    lab.set("hostname", "newelm");
    fs::remove_dir_all(lab.path("state")).unwrap();
    let none = dry(&lab, &["init", "--take-over", "oldoak"]).expect(4);
    let refused = lab.run(&["init", "--take-over", "oldoak"]).expect(4);
    assert_eq!(refused.stderr, none.stderr);
    let said = dry_then_wet(&lab, &["init", "--take-over", "atlas"]);
    let line = in_one_line(&said);
    assert!(line.contains("what was atlas beside it goes on"), "{said}");
    let plan = dry(&lab, &["init", "--json"]).expect(0).json();
    assert_eq!(plan["steps"][0]["action"]["kind"], "destination-check");
    // Where nothing is mounted.
    lab.set("local.requireMount", true);
    let refused = dry(&lab, &["init"]).expect(4);
    assert_eq!(lab.run(&["init"]).expect(4).stderr, refused.stderr);
}

#[test]
fn what_is_taken_over_in_the_cloud_alone_is_foretold() {
    let mut lab = Lab::new();
    lab.set("local.enable", false);
    lab.set("cloud.enable", true);
    lab.set("cloud.provider", "custom");
    lab.set("cloud.remote", "any:");
    let told = dry(&lab, &["init", "--take-over", "oldoak"])
        .expect(0)
        .says("makes what is there this machine's");
    assert_eq!(foretold(&told), "");
    // As JSON there is a document, of a plan and of a run without a step.
    let words = &["init", "--take-over", "oldoak", "--json"];
    let plan = dry(&lab, words).expect(0).json();
    assert_eq!(plan["steps"], serde_json::json!([]));
    assert_eq!(plan["findings"][0]["code"], "copies-taken-over");
    let report = lab.run(words).expect(0).json();
    assert_eq!(report["result"], "success");
    assert_eq!(report["findings"][0]["code"], "copies-taken-over");
}

#[test]
fn what_is_refused_before_it_begins_leaves_nothing() {
    let lab = Lab::new();
    let home = lab.text("home");
    for words in [
        &["pin", "latest"][..],
        &["accept", "latest"],
        &["delete", "latest", "--yes"],
        &["restore", "latest", &home, "/nowhere"],
        &["verify", "--repair"],
        &["init", "--take-over", "oldoak"],
        &["apply", "--if-due"],
    ] {
        let before = everything_below(&lab.path("."));
        let told = lab.run(words);
        let after = everything_below(&lab.path("."));
        assert!(before == after, "something was left: {told}");
        assert!(told.code == 4 || words[0] == "apply", "{told}");
    }
}

#[test]
fn what_would_be_adopted_is_refused_as_it_then_is() {
    let mut lab = Lab::new();
    lab.backup(FIRST);
    let inside = format!("mnt/old/2024-01-01{}", lab.text("home"));
    fs::create_dir_all(lab.path(&inside)).unwrap();
    lab.write(&format!("{inside}/a"), "a");
    let old = lab.text("mnt/old");
    dry(&lab, &["adopt", &old]).expect(0).says("2024-01-01");
    // Another one of these drives, which this machine does not know.
    fs::remove_dir_all(lab.path("mnt/atlas")).unwrap();
    lab.set("hostname", "other");
    let wanted = lab.run(&["adopt", &old, "--yes"]);
    let told = dry(&lab, &["adopt", &old]).expect(wanted.code);
    assert!(told.stderr.len() <= wanted.stderr.len(), "{told} {wanted}");
}

#[test]
fn units_pages_and_a_trial_are_named_and_not_written() {
    let mut lab = Lab::new();
    lab.set("schedule", serde_json::json!({"enable": true}));
    let units = lab.text("units");
    let words = ["systemd-units", "--user", "--to", &units];
    let said = foretold(&dry(&lab, &words).expect(0));
    let done = lab.run(&words).expect(0).stderr;
    assert_eq!(
        in_one_line(&said).replace("would write", "wrote"),
        in_one_line(&done)
    );
    lab.set("schedule", serde_json::json!({"enable": false}));
    let said = foretold(&dry(&lab, &words).expect(0));
    assert!(
        in_one_line(&said).contains(&format!("would remove {units}/backup.timer ")),
        "{said}"
    );
    // All of them are looked at before one is written.
    lab.write("units/backup.service", "[Service]\n");
    lab.set("schedule", serde_json::json!({"enable": true}));
    let refused = dry(&lab, &words).expect(4).stderr;
    let before = everything_below(&lab.path("units"));
    assert_eq!(lab.run(&words).expect(4).stderr, refused);
    assert!(before == everything_below(&lab.path("units")));

    let pages = lab.text("pages");
    let said = foretold(&dry(&lab, &["man", "--to", &pages]).expect(0));
    lab.run(&["man", "--to", &pages]).expect(0);
    for page in in_one_line(&said).split("would write ").skip(1) {
        let page = page.trim_end();
        assert!(fs::metadata(page).is_ok(), "{page}");
    }
    let (home, to) = (lab.text("home"), lab.text("trial"));
    let said = foretold(&dry(&lab, &["try", &home, "--to", &to]).expect(0));
    let done = lab.run(&["try", &home, "--to", &to]).expect(0);
    assert!(done.in_one_line().contains(&in_one_line(&said)), "{done}");
}

#[test]
fn nothing_is_sent_shown_settled_or_remembered() {
    let mut lab = Lab::new();
    let sent = lab.text("sent");
    let program = lab.script("notify", &format!("cat >'{sent}'"));
    lab.set(
        "notifications",
        serde_json::json!({"enable": true, "desktop": false, "command": program}),
    );
    lab.backup(FIRST);
    let _ = fs::remove_file(&sent);
    assert_eq!(
        foretold(&dry(&lab, &["notify-test"]).expect(0)),
        format!("{program}\n")
    );
    let told = dry(&lab, &["notify-test", "--json"]).expect(0).json();
    assert_eq!(
        (&told[0]["ok"], &told[0]["tries"]),
        (&false.into(), &0.into())
    );
    dry(&lab, &["settle"])
        .expect(0)
        .says("no run owes anything");
    let shown = foretold(&dry(&lab, &["view", "--remove"]).expect(0));
    lab.run(&["view", "--remove"]).expect(0).says(&shown);
    let health = dry(&lab, &["health"]);
    let told = lab.run(&["health", "--quick"]).expect(health.code);
    assert_eq!(
        told.stdout.lines().next(),
        health.stdout.lines().next(),
        "{told} {health}"
    );
}

#[test]
fn a_repair_is_foretold_with_what_it_cannot_mend() {
    let lab = Lab::new();
    lab.backup(FIRST);
    test_support::flip_byte(&lab.inside("latest", "home/ann/photo.jpg"));
    let told = dry(&lab, &["verify", "--repair"]).expect(3);
    told.clone().says("all of it would be repaired");
    fs::remove_file(lab.path("home/ann/photo.jpg")).unwrap();
    let told = dry(&lab, &["verify", "--repair"]).expect(3);
    told.says("none of it can be repaired")
        .says("not repaired: ");
    let record = lab.stored(&format!(".backup/snapshots/{}/snapshot.json", id_of(FIRST)));
    fs::write(record, "{").unwrap();
    dry(&lab, &["verify", "--repair", &id_of(FIRST)])
        .expect(3)
        .says("1 of it would be repaired, 1 not");
}
