//! What is said of each of several destinations: under its name, in the words in which it is configured, and
//! with commands that work on it and on no other.

use std::fs;

use serde_json::{Value, json};
use test_support::{is_missing, run_command};

use super::{FIRST, SECOND, THIRD, days, lab};
use crate::lab::{Lab, id_of};

/// The command in a text that begins so, as it is pasted into a shell.
#[track_caller]
fn command_in(text: &str, begins: &str) -> Vec<String> {
    let codes = text.split('`').skip(1).step_by(2);
    let found: Vec<&str> = codes.filter(|code| code.starts_with(begins)).collect();
    let [command] = found.as_slice() else {
        panic!("one `{begins}` in {text}");
    };
    command.split(' ').skip(1).map(str::to_owned).collect()
}

#[track_caller]
fn paste(lab: &Lab, command: &[String], more: &[&str]) {
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    lab.run(&[&words, more].concat()).expect(0);
}

/// A lab whose second night is suspect on each disk: most files are gone.
fn with_suspects() -> Lab {
    let lab = lab();
    for at in 0..40 {
        lab.write(&format!("home/many/{at}"), "x");
    }
    lab.at(FIRST, &["apply"]).expect(0);
    fs::remove_dir_all(lab.path("home/many")).unwrap();
    lab
}

/// Whether the snapshots of a disk are accepted, the newest first.
fn accepted(lab: &Lab, disk: &str) -> Vec<bool> {
    let list = lab
        .run(&["list", "--json", "--destination", disk])
        .expect(0);
    let list = list.json();
    let all = list["snapshots"].as_array().unwrap().iter();
    all.map(|one| one["accepted"] == true).collect()
}

#[test]
fn a_hint_that_is_pasted_works_on_the_disk_that_it_is_about() {
    let lab = with_suspects();
    let report = lab.at(SECOND, &["apply", "--json"]).expect(3).json();
    let id = id_of(SECOND);
    let hint_of = |step: &str| {
        let mut steps = report["steps"].as_array().unwrap().iter();
        let step = steps.find(|one| one["step"] == step).unwrap();
        step["outcome"]["hint"].as_str().unwrap().to_owned()
    };
    let of_usb = command_in(&hint_of("snapshot:usb"), "backup accept");
    assert_eq!(of_usb, ["accept", "--destination", "usb", &id]);
    let of_local = command_in(&hint_of("snapshot"), "backup accept");
    assert_eq!(of_local, ["accept", &id]);
    let status = lab.at(SECOND, &["status", "--json"]).expect(0).json();
    let remedy = status["destinations"]["usb"]["remedy"].as_str().unwrap();
    assert_eq!(command_in(remedy, "backup accept"), of_usb);
    paste(&lab, &of_usb, &[]);
    assert_eq!(accepted(&lab, "usb"), [true, false]);
    assert_eq!(accepted(&lab, "local"), [false, false]);

    // A deletion that is pasted leaves the other disks alone.
    let health = lab.at(SECOND, &["health", "--quick", "--json"]);
    let health = health.expect_one_of(&[1, 3]).json();
    let findings = health["destinations"]["nas"]["findings"].clone();
    let findings: Vec<Value> = serde_json::from_value(findings).unwrap();
    let mut hints = findings.iter().filter_map(|one| one["hint"].as_str());
    let hint = hints.rfind(|hint| hint.contains("backup delete"));
    let delete = command_in(hint.unwrap(), "backup delete");
    assert_eq!(delete, ["delete", "--destination", "nas", &id]);
    paste(&lab, &delete, &["--yes"]);
    let left = ["mnt", "nas", "usb"].map(|disk| days(&lab, disk).len());
    assert_eq!(left, [2, 1, 2]);
    // As it is printed for people, with what a shell needs besides.
    let shown = lab.at(SECOND, &["status"]).expect(0).in_one_line();
    assert!(!shown.contains("accept --destination usb"), "{shown}");
    assert!(shown.contains(&format!("`backup accept {id}`")), "{shown}");
}

#[test]
fn what_is_deleted_says_where() {
    let lab = lab();
    lab.at(FIRST, &["apply"]).expect(0);
    lab.at(SECOND, &["apply"]).expect(0);
    let folder = lab.path("usb").join(crate::lab::HOST);
    let arguments = ["delete", "--destination", "usb", &id_of(FIRST), "--yes"];
    let shown = lab.run(&arguments).expect(0).all();
    let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        shown.contains(&format!("On usb ({}):", folder.display())),
        "{shown}"
    );
    assert!(
        shown.contains("1 snapshot deleted on usb, as shown"),
        "{shown}"
    );
    lab.run(&["prune", "--dry-run"])
        .expect(0)
        .says("On local (");
    // The report of a run says it of each, in the words of its configuration.
    let mut lab = lab;
    lab.set("destinations.nas.keepDaily", 1);
    lab.set("destinations.nas.keepWeekly", 0);
    lab.set("destinations.nas.keepMonthly", 0);
    let plan = lab.at(THIRD, &["plan"]).expect(0).in_one_line();
    assert!(plan.contains("destinations.nas.keepDaily"), "{plan}");
    let ran = lab.at(THIRD, &["apply", "--approve-deletions"]).expect(0);
    let ran = ran.in_one_line();
    assert!(ran.contains("on nas: "), "{ran}");
    assert!(ran.contains("destinations.nas.keepDaily"), "{ran}");
    assert!(!ran.contains("local.keep"), "{ran}");
}

/// The lines of a page that stand below this title, up to the next one of these.
fn below<'p>(page: &'p str, title: &str, titles: &[&str]) -> Vec<&'p str> {
    let lines = page.lines().skip_while(|line| *line != title).skip(1);
    let lines: Vec<&str> = lines.take_while(|line| !titles.contains(line)).collect();
    assert!(!lines.is_empty(), "{title}: {page}");
    lines
}

#[test]
fn a_plan_says_of_each_what_is_to_be_said_of_it() {
    let mut lab = lab();
    lab.at(FIRST, &["apply", "--only", "nas", "usb"]).expect(0);
    lab.set("destinations.usb.ifAbsent", "defer");
    fs::remove_dir_all(lab.path("usb")).unwrap();
    let plan = lab.at(SECOND, &["plan"]).expect(75).stdout;
    let titles = ["local", "nas", "usb", "all of them"];
    let of = |name: &str| below(&plan, name, &titles).join(" ");
    assert!(of("local").contains("has no snapshot yet"), "{plan}");
    assert!(!of("nas").contains("note:"), "{plan}");
    let usb = of("usb");
    assert!(usb.contains("destinations.usb.mountPoint"), "{plan}");
    assert!(usb.contains("nothing will change there now"), "{plan}");
    assert!(!usb.contains("has no snapshot yet"), "{plan}");
    // What is of the machine is said once.
    fs::write(lab.path("state/tries.json"), "{").unwrap();
    let plan = lab.at(SECOND, &["plan"]).expect(75).stdout;
    assert_eq!(plan.matches("tries.json").count(), 1, "{plan}");
    assert!(
        below(&plan, "all of them", &titles)
            .join(" ")
            .contains("tries.json")
    );
}

#[test]
fn a_list_tells_what_cannot_be_listed_below_its_name() {
    let lab = lab();
    lab.at(FIRST, &["apply"]).expect(0);
    fs::rename(lab.path("nas"), lab.path("away")).unwrap();
    let list = lab.at(FIRST, &["list"]).expect(0);
    let titles: Vec<&str> = list.stdout.lines().collect();
    for title in ["local", "nas", "usb"] {
        assert!(titles.contains(&title), "{list}");
    }
    list.says("destinations.nas.mountPoint");
    fs::remove_dir_all(lab.path("mnt")).unwrap();
    fs::remove_dir_all(lab.path("usb")).unwrap();
    lab.at(FIRST, &["list"]).expect(4);
}

#[test]
fn a_status_and_a_health_check_name_those_that_they_are_about() {
    let mut lab = lab();
    lab.at(FIRST, &["apply"]).expect(0);
    let now = "2025-03-05T04:00:00+01:00";
    let status = lab.at(now, &["status"]).expect(0).stdout;
    assert!(
        status.starts_with("ok: last backup 2 hours ago on each"),
        "{status}"
    );
    for name in ["local:", "nas:", "usb:"] {
        assert!(
            status.lines().any(|line| line.starts_with(name)),
            "{status}"
        );
    }
    let json = lab.at(now, &["status", "--json"]).expect(0).json();
    assert_eq!(json["destinations"]["local"]["snapshots"], 1);
    fs::rename(lab.path("usb"), lab.path("away")).unwrap();
    let status = lab.at(now, &["status"]).expect(0).stdout;
    assert!(status.starts_with("warning: usb: "), "{status}");
    assert_eq!(
        status.matches("not mounted").count(),
        1,
        "said once: {status}"
    );
    assert!(status.contains("\nusb: as above"), "{status}");
    lab.set("destinations.usb.ifAbsent", "fail");
    let health = lab.at(now, &["health", "--quick"]).expect_one_of(&[1, 3]);
    let first = health.stdout.lines().next().unwrap();
    assert!(first.ends_with("(usb)"), "{health}");
    assert!(health.stdout.contains("\nlocal: "), "{health}");
    lab.set("destinations", json!({}));
    let alone = lab.at(now, &["health", "--quick"]).expect(0).stdout;
    assert!(!alone.contains("local: "), "{alone}");
}

#[test]
fn a_disk_that_cannot_be_looked_at_is_no_success_and_holds_up_no_other() {
    let test = "a_disk_that_cannot_be_looked_at_is_no_success_and_holds_up_no_other";
    if is_missing(test, &["strace"], false) {
        return;
    }
    let lab = lab();
    lab.at(FIRST, &["apply"]).expect(0);
    let folder = lab.path("usb").join(crate::lab::HOST);
    let path = folder.to_str().unwrap();
    let faulty = |arguments: &[&str]| {
        let inject = "inject=openat:error=EIO";
        let options = [
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            "trace=openat",
            "-e",
            inject,
            "-P",
            path,
        ];
        let command = lab.command_below("strace", &options, arguments);
        lab.in_short(run_command(command, arguments))
    };
    let status = faulty(&["status"]).expect(1);
    let told = format!("warning: usb: cannot open {path}: input/output error");
    assert!(status.in_one_line().starts_with(&told), "{status}");
    let json = faulty(&["status", "--json"]).expect(1).json();
    assert_eq!(json["verdict"], "warning");
    assert_eq!(json["destinations"]["usb"]["verdict"], "warning");
    assert_eq!(json["destinations"]["local"]["snapshots"], 1);
    let plan = faulty(&["plan", "--now", SECOND]).expect(3);
    let told = format!("refused: cannot open {path}: input/output error");
    plan.says(&told);
    faulty(&["apply", "--now", SECOND]).expect(3);
    let served = ["mnt", "nas", "usb"].map(|disk| days(&lab, disk).len());
    assert_eq!(served, [2, 2, 1]);
}
