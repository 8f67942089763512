//! Others on a remote with a history: a key that may not delete, clocks that jump, a second machine, a newer
//! version, and a mirror.

use std::{
    fs,
    path::Path,
    process::{Child, Command},
};

use serde_json::json;
use test_support::{Fate, HttpProxy, Ran, everything_below, run_command, wait_for_child};

use crate::{
    history_kills::{behind, notes, object_of_night, published},
    history_rows::{night, of_night, on_b2, write_night},
    lab::{Lab, skip},
    remote_lab::{Protocol, RemoteLab},
    rows::{day, id},
};

/// A lab whose server refuses what this says, once [`HttpProxy::set`] does.
fn by_proxy(test: &str) -> Option<(RemoteLab, HttpProxy)> {
    let far = RemoteLab::with_history(test, Protocol::Webdav, false)?;
    let proxy = HttpProxy::new(far.port);
    far.connect_by(proxy.port());
    Some((far, proxy))
}

fn refuse_deletion(proxy: &HttpProxy) {
    proxy.set(|_, request| match request.method.as_str() {
        "DELETE" => Fate::Answered(403),
        _ => Fate::Passed,
    });
}

/// Whether the contents of all these nights are there.
fn has_all(far: &RemoteLab, mut nights: impl Iterator<Item = u32>) -> bool {
    nights.all(|n| object_of_night(far, n).exists())
}

#[test]
fn a_night_without_changes_asks_twice_and_writes_nothing() {
    let Some((far, proxy)) = by_proxy("a_night_without_changes") else {
        return;
    };
    night(&far, 1);
    let before = everything_below(&far.lab.path("far"));
    for n in 2..=4 {
        proxy.mend();
        far.backup(&day(n));
        let asked = proxy.requests();
        assert!(asked.len() <= 2, "{asked:?}");
    }
    assert_eq!(everything_below(&far.lab.path("far")), before);
    // The last look counts as the age of what is there.
    let status = far.at(&day(4), &["status", "--json"]).expect(0).json();
    assert_eq!(
        status["destinations"]["b2"]["findings"],
        json!([]),
        "{status:#}"
    );
    on_b2(&far, &["list"]).expect(0).says(&id(1));
}

#[test]
fn a_key_that_may_not_delete_loses_nothing_and_one_option_ends_its_errors() {
    let Some((mut far, proxy)) = by_proxy("a_key_that_may_not_delete") else {
        return;
    };
    refuse_deletion(&proxy);
    for n in 1..=8 {
        write_night(&far, n);
        let ran = far.at(&day(n), &["apply"]);
        if n < 4 {
            // Nothing is let go yet, so nothing is to be deleted.
            ran.expect(0);
        } else {
            // All else is done: at first it is only a note that stays.
            ran.expect_one_of(&[1, 3])
                .says("deletes nothing")
                .says("403 Forbidden")
                .hints("destinations.b2.expire to \"never\"");
        }
        assert!(published(&far).contains(&n), "night {n}");
        assert!(has_all(&far, 1..=n), "night {n}");
    }
    far.lab.set("destinations.b2.expire", json!("never"));
    refuse_deletion(&proxy);
    for n in 9..=10 {
        night(&far, n);
        assert!(published(&far).contains(&n));
    }
    let asked = proxy.requests();
    assert!(asked.iter().all(|one| one.method != "DELETE"), "{asked:?}");
    assert!(has_all(&far, 1..=10));
    // Another key, which may: what was left is cleared away.
    far.lab.set("destinations.b2.expire", json!("here"));
    proxy.mend();
    for n in 11..=14 {
        night(&far, n);
    }
    assert_eq!(published(&far), [12, 13, 14].into());
    assert_eq!(notes(&far), Vec::<String>::new());
    assert!(!object_of_night(&far, 1).exists());
    on_b2(&far, &["verify", "--full"]).expect(0);
}

#[test]
fn a_clock_that_jumps_takes_nothing_away() {
    let test = "a_clock_that_jumps";
    let Some(mut far) = RemoteLab::with_history(test, Protocol::Webdav, false) else {
        return;
    };
    far.lab.set("destinations.b2.keepHistoryDays", json!(30));
    for n in 1..=6 {
        night(&far, n);
    }
    assert_eq!(published(&far), [4, 5, 6].into());
    // A year ahead, for one night: by that clock all that was let go was so long ago enough.
    write_night(&far, 7);
    let ahead = day(7).replace("2025", "2026");
    far.backup(&ahead);
    for n in 8..=11 {
        let report = night(&far, n);
        assert_eq!(report["result"], "success", "{report:#}");
    }
    assert!(has_all(&far, 1..=11));
    let asked = ["list", "--now", &day(11)];
    on_b2(&far, &asked).expect(0).says("dated in the future");
    assert_eq!(published(&far), [9, 10, 11].into());
    on_b2(&far, &["verify", "--full"]).expect(0);
    // Nor is the next run held back by what is dated in the future.
    let later = day(12);
    let ran = far.at(&later, &["status", "--json"]).expect(0).json();
    let good = &ran["destinations"]["b2"]["last_good"];
    assert_eq!(good["id"], id(11), "{ran:#}");
}

/// Another machine of the same host name, with a state, a disk and sources of its own.
struct OtherMachine<'a> {
    far: &'a RemoteLab,
    lab: Lab,
}

impl<'a> OtherMachine<'a> {
    /// One that asks the server by this port.
    fn new(far: &'a RemoteLab, port: u16) -> Self {
        let mut lab = Lab::new();
        far.connect_by(port);
        fs::copy(far.lab.path("rclone.conf"), lab.path("rclone.conf")).unwrap();
        far.connect_by(far.port);
        lab.set("destinations", far.destinations(&lab.text("rclone.conf")));
        lab.write("machine-id", &format!("{}\n", "2".repeat(32)));
        Self { far, lab }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let id = self.lab.text("machine-id");
        let below = "mount --bind \"$0\" /etc/machine-id && exec \"$@\"";
        let options = [
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            below,
            &id,
        ];
        let mut command = self.lab.command_below("unshare", &options, arguments);
        command.env("PATH", self.far.programs());
        command
    }

    fn at(&self, now: &str, words: &[&str]) -> Ran {
        let words = [words, &["--now", now]].concat();
        run_command(self.command(&words), &words)
    }

    fn started(&self, now: &str) -> Child {
        self.command(&["apply", "--now", now]).spawn().unwrap()
    }
}

/// The hour after a night's.
fn an_hour_later(n: u32) -> String {
    day(n).replace("T02", "T03")
}

#[test]
fn two_machines_at_once_give_way_to_each_other_and_lose_nothing() {
    let test = "two_machines_at_once";
    if !rustix::process::geteuid().is_root() || !Path::new("/etc/machine-id").exists() {
        skip(&format!(
            "{test} because no machine can have another identity"
        ));
        return;
    }
    let Some(far) = RemoteLab::with_history(test, Protocol::Webdav, false) else {
        return;
    };
    for n in 1..=6 {
        night(&far, n);
    }
    let proxy = HttpProxy::new(far.port);
    let other = OtherMachine::new(&far, proxy.port());
    other
        .at(&an_hour_later(6), &["apply"])
        .says("another machine of the host name atlas")
        .hints("init --destination b2 --take-over");
    let take_over = ["init", "--destination", "b2", "--take-over"];
    run_command(other.command(&take_over), &take_over).expect(0);
    // What it has is of the snapshot that the first one takes away meanwhile.
    other.lab.write("home/of night 1", &of_night(1));
    other.lab.write("home/its own", "its own\n");

    // It uploads, and the first one is to let go and take away.
    proxy.set(|_, request| {
        let is_object = request.method == "PUT" && request.path.contains("/objects/");
        if is_object { Fate::Held } else { Fate::Passed }
    });
    let uploads = other.started(&an_hour_later(6));
    proxy.wait_until_held();
    write_night(&far, 7);
    far.at(&day(7), &["apply"]).expect(75).says("uploads there");
    assert!(published(&far).contains(&7));
    assert!(object_of_night(&far, 1).exists());
    proxy.release();
    wait_for_child(uploads, &["apply"]).expect(0);
    published(&far);

    // The first one takes away, and the other one is to upload.
    let own = HttpProxy::new(far.port);
    far.connect_by(own.port());
    own.set(|_, request| {
        let is_record = request.method == "DELETE" && request.path.contains("/records/2025");
        if is_record { Fate::Held } else { Fate::Passed }
    });
    proxy.mend();
    write_night(&far, 8);
    let expires = far.started(&day(8));
    own.wait_until_held();
    other.lab.write("home/of night 2", &of_night(2));
    other
        .at(&an_hour_later(8), &["apply"])
        .expect(75)
        .says("is taking old snapshots away there");
    own.release();
    wait_for_child(expires, &["apply"]).expect(0);
    assert!(!object_of_night(&far, 3).exists() || !object_of_night(&far, 2).exists());
    other.at(&an_hour_later(8), &["apply"]).expect(0);
    assert!(published(&far).contains(&8));
    assert!(object_of_night(&far, 2).exists());
    assert_eq!(notes(&far), Vec::<String>::new());
    let words = ["verify", "--destination", "b2", "--full"];
    run_command(other.command(&words), &words).expect(0);
    on_b2(&far, &["verify", "--full"]).expect(0);
}

#[test]
fn what_a_newer_version_wrote_is_neither_read_nor_touched() {
    let test = "what_a_newer_version_wrote";
    let Some(mut far) = RemoteLab::with_history(test, Protocol::Webdav, false) else {
        return;
    };
    night(&far, 1);
    // A server remembers what its folder had.
    far.stop();
    fs::write(behind(&far, "records/format-2.json"), "{}").unwrap();
    far.start();
    let before = everything_below(&far.lab.path("far"));
    let (home, out) = (far.lab.text("home"), far.lab.text("out"));
    for words in [
        &["list"][..],
        &["find", "letter.txt"],
        &["diff", "latest", "latest"],
        &["restore", "latest", &home, &out],
        &["verify"],
        &["pin", "latest"],
        &["unpin", "latest"],
        &["accept", "latest"],
    ] {
        on_b2(&far, words)
            .expect(4)
            .says("was written by a newer version of backup")
            .hints("install that version here");
    }
    write_night(&far, 2);
    // The disk has its snapshot all the same.
    let ran = far.at(&day(2), &["apply"]).expect(3);
    ran.says("was written by a newer version")
        .hints("install that version");
    assert_eq!(far.lab.ids().len(), 2);
    let ran = far.at(&day(2), &["status"]).expect(0);
    ran.says("was written by a newer version");
    assert_eq!(everything_below(&far.lab.path("far")), before);
    assert!(!far.lab.path("out").exists());
}

#[test]
fn a_mirror_and_a_history_do_not_share_a_folder() {
    let test = "a_mirror_and_a_history";
    let Some(mut far) = RemoteLab::new(test, Protocol::Webdav, false) else {
        return;
    };
    let history = far.destinations(&far.lab.text("rclone.conf"));
    for is_mirror_first in [true, false] {
        far.stop();
        for folder in ["far/bucket/Backups", "mnt", "state"] {
            let _ = fs::remove_dir_all(far.lab.path(folder));
        }
        fs::create_dir(far.lab.path("mnt")).unwrap();
        far.start();
        for (n, is_mirror) in [(1, is_mirror_first), (2, !is_mirror_first)] {
            far.lab.set("cloud.enable", is_mirror);
            let destinations = if is_mirror {
                json!({})
            } else {
                history.clone()
            };
            far.lab.set("destinations", destinations);
            let before = everything_below(&far.lab.path("far"));
            let ran = far.at(&day(n), &["apply"]);
            if n == 1 {
                ran.expect(0);
                continue;
            }
            assert_ne!(ran.code, 0, "{ran}");
            ran.says("cannot stand beside them").hints("remotePath");
            assert_eq!(everything_below(&far.lab.path("far")), before);
        }
    }
    // Both at once is an error before anything is done.
    far.lab.set("cloud.enable", true);
    far.lab.set("destinations", history);
    far.run(&["check"]).expect(2).says("a folder of its own");
}
