//! Who is told of what where there are several destinations.

use std::fs;

use serde_json::json;

use super::{FIRST, SECOND, ends, lab};
use crate::{
    lab::Lab,
    notify::{
        keep_reports, reports,
        server::{Answer, Server},
    },
};

/// A lab in which a command keeps all reports that are told.
fn telling() -> Lab {
    let mut lab = lab();
    lab.set("notifications.enable", true);
    lab.set("notifications.desktop", false);
    lab.set("notifications.onSuccess", true);
    keep_reports(&mut lab);
    lab.set("destinations.usb.ifAbsent", "defer");
    lab
}

#[test]
fn a_run_that_defers_one_tells_of_those_that_it_serves() {
    let mut lab = telling();
    let server = Server::new(&[Answer::Status(200)]);
    let switch = json!({ "url": server.url("/ping") });
    lab.set("notifications.healthcheck", switch);
    lab.at(FIRST, &["apply"]).expect(0);
    assert_eq!(server.paths(), ["POST /ping/start", "POST /ping"]);
    fs::rename(lab.path("usb"), lab.path("away")).unwrap();
    lab.at(SECOND, &["apply"]).expect(75);
    assert_eq!(server.paths()[2..], ["POST /ping/start", "POST /ping"]);
    let told = reports(&lab).pop().unwrap();
    assert_eq!(reports(&lab).len(), 2);
    assert_eq!(told["result"], "deferred");
    let served = [
        ("local", "success"),
        ("nas", "success"),
        ("usb", "deferred"),
    ];
    assert_eq!(ends(&told), served);
    // What of those that are served went wrong counts.
    lab.set("notifications.onSuccess", false);
    fs::remove_file(lab.path("home/ann/letter.txt")).unwrap();
    let sources = json!([lab.path("home"), lab.path("gone")]);
    lab.set("local.sources", sources);
    lab.at("2025-03-07T02:00:00+01:00", &["apply"]).expect(75);
    assert_eq!(server.paths()[4..], ["POST /ping/start", "POST /ping/fail"]);
    assert_eq!(reports(&lab).len(), 3);
    // Where nothing is served there is nothing to tell.
    lab.at("2025-03-07T03:00:00+01:00", &["apply", "--only", "usb"])
        .expect(75);
    assert_eq!((server.paths().len(), reports(&lab).len()), (6, 3));
}

#[test]
fn one_that_is_late_beside_others_is_told_once_a_day() {
    let mut lab = telling();
    lab.set("notifications.onSuccess", false);
    lab.set("monitoring.maxAge", "2d");
    lab.at("2025-03-01T02:00:00+01:00", &["apply"]).expect(0);
    fs::rename(lab.path("usb"), lab.path("away")).unwrap();
    let run = |now: &str, code| {
        lab.at(now, &["apply"]).expect(code);
        reports(&lab).len()
    };
    assert_eq!(run("2025-03-02T02:00:00+01:00", 75), 0);
    assert_eq!(run("2025-03-03T03:00:00+01:00", 75), 1);
    assert_eq!(run("2025-03-03T23:00:00+01:00", 75), 1);
    assert_eq!(run("2025-03-04T03:00:00+01:00", 75), 2);
    for told in reports(&lab) {
        assert_eq!(ends(&told), [("usb", "deferred")]);
        let findings = &told["destinations"]["usb"]["findings"];
        assert_eq!(findings[0]["code"], "destination-not-mounted");
        let message = findings[0]["message"].as_str().unwrap();
        assert!(message.contains("destinations.usb.mountPoint"), "{message}");
    }
    let remembered = lab.path("state/destinations/usb/deferrals.json");
    assert!(remembered.exists() && !lab.path("state/deferrals.json").exists());
    // It is back, and later away again.
    fs::rename(lab.path("away"), lab.path("usb")).unwrap();
    assert_eq!(run("2025-03-04T04:00:00+01:00", 0), 2);
    assert!(!remembered.exists());
    fs::rename(lab.path("usb"), lab.path("away")).unwrap();
    assert_eq!(run("2025-03-05T04:00:00+01:00", 75), 2);
}

#[test]
fn a_timer_that_finds_one_late_tells_of_it_though_nothing_is_begun() {
    let mut lab = telling();
    let weekly = json!({ "enable": true, "onlyOnAC": false, "frequency": "weekly" });
    lab.set("schedule", weekly);
    lab.set("destinations.usb.schedule", json!({ "frequency": "daily" }));
    lab.set("notifications.onSuccess", false);
    lab.set("monitoring.maxAge", "2d");
    let due = |now: &str, code| {
        lab.at(now, &["apply", "--if-due"]).expect(code);
        reports(&lab).len()
    };
    assert_eq!(due("2025-03-03T03:30:00+01:00", 0), 0);
    fs::rename(lab.path("usb"), lab.path("away")).unwrap();
    assert_eq!(due("2025-03-04T03:30:00+01:00", 75), 0);
    assert_eq!(due("2025-03-06T03:30:00+01:00", 75), 1);
    assert_eq!(due("2025-03-06T05:30:00+01:00", 75), 1);
    assert_eq!(due("2025-03-07T03:45:00+01:00", 75), 2);
    assert_eq!(lab.runs().len(), 1);
    assert_eq!(ends(&reports(&lab)[1]), [("usb", "deferred")]);
}

#[test]
fn the_last_good_backup_of_any_is_told_where_there_are_named_ones_alone() {
    let mut lab = telling();
    let server = Server::new(&[Answer::Status(200)]);
    let switch = json!({ "url": server.url("/ping") });
    lab.set("notifications.healthcheck", switch);
    lab.set("local.enable", false);
    lab.at(FIRST, &["apply"]).expect(0);
    lab.set("preBackupScript", lab.script("pre", "exit 9"));
    lab.at(SECOND, &["apply"]).expect(1);
    let note = server.asked().pop().unwrap().body;
    assert!(
        note.contains("the newest good snapshot is 2025-03-05_02-00-00"),
        "{note}"
    );
}
