//! Trial restores: the snapshot in a room of its own, and nothing of it outside.

use std::{
    fs,
    io::Read as _,
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::Path,
    process::Stdio,
};

use schema::shell::word as quoted;
use test_support::why_nothing_can_be_mounted;

use crate::lab::{Lab, PROGRAM, everything_below, id_of, read_json, run_command, skip, wait_for};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";
/// Who owns nothing on any system.
const BOB: u32 = 65534;

/// A lab with a snapshot, where there can be a room.
fn lab(test: &str) -> Option<Lab> {
    let why = match nix::unistd::geteuid().is_root() {
        true => why_nothing_can_be_mounted(),
        false => Some("only root surely has a mount namespace of its own".to_owned()),
    };
    if let Some(why) = why {
        skip(&format!("{test} because {why}"));
        return None;
    }
    let lab = Lab::new();
    lab.backup(FIRST);
    Some(lab)
}

/// The path of something in the lab as a word of a shell.
fn word(lab: &Lab, relative: &str) -> String {
    quoted(lab.text(relative))
}

/// What stands in the snapshot at a path of the lab.
fn stored(lab: &Lab, relative: &str) -> std::path::PathBuf {
    lab.inside("latest", relative)
}

/// Whether any process was started with these words.
fn runs_with(words: &str) -> bool {
    let all = fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|one| fs::read(one.path().join("cmdline")).ok())
        .any(|line| {
            String::from_utf8_lossy(&line)
                .replace('\0', " ")
                .contains(words)
        })
}

#[test]
fn checks_see_the_snapshot_where_its_files_belong_and_nothing_that_is_live() {
    let Some(mut lab) = lab("checks_see_the_snapshot") else {
        return;
    };
    let (letter, new) = (
        word(&lab, "home/ann/letter.txt"),
        word(&lab, "home/ann/new.txt"),
    );
    let (drive, state) = (word(&lab, "mnt"), word(&lab, "state"));
    let id = id_of(FIRST);
    // In the source, so that the snapshot has none: the check is this machine's all the same.
    let check = lab.script(
        "home/ann/check",
        &format!(
            "set -e\n\
             test \"$(cat {letter})\" = 'dear all'\n\
             test ! -e {new}\n\
             test ! -e {drive}\n\
             test ! -e {state}\n\
             test ! -e {check}\n\
             test \"$BACKUP_SNAPSHOT\" = {id}\n\
             test \"$BACKUP_DRILL_ROOT\" = /\n\
             test -z \"$BACKUP_TEST_LEAK\"\n\
             echo mine >> {letter}\n\
             if touch /etc/backup-drill-was-here 2>&1; then exit 1; fi\n\
             if touch /usr/backup-drill-was-here 2>&1; then exit 1; fi\n\
             if readlink /proc/1/exe; then exit 1; fi\n\
             test \"$(cut -d' ' -f6 /proc/1/stat)\" = 1\n\
             test \"$(ls /proc | grep -c '^[0-9]')\" -lt 9\n\
             if grep -v '^ *lo:' /proc/net/dev | grep :; then exit 1; fi\n\
             test ! -e /proc/self/fd/9\n\
             echo all is well",
            check = word(&lab, "home/ann/check"),
        ),
    );
    lab.set("monitoring.drill.checks", vec![check.clone()]);
    lab.set("monitoring.prometheusFile", lab.text("drill.prom"));
    lab.write("home/ann/letter.txt", "changed since\n");
    lab.write("home/ann/new.txt", "new\n");
    let before = everything_below(&lab.path("mnt"));
    let sources = everything_below(&lab.path("home"));
    let mounts = mounts_of(&lab);
    // What the caller has open on the drive stays outside.
    let mut command = lab.bare("/bin/sh");
    command
        .args([
            "-c",
            "exec 9<\"$0\" && exec \"$@\"",
            &lab.text("mnt"),
            PROGRAM,
        ])
        .args(lab.words(&["drill", "--json"]))
        .env("BACKUP_TEST_LEAK", "1");
    let drill = run_command(command, &["drill", "--json"]).expect(0).json();
    assert_eq!(drill["verdict"], "passed", "{drill:#}");
    assert_eq!(drill["snapshot"]["id"], id.as_str());
    assert_eq!(drill["checks"][0]["check"], check.as_str());
    assert!(drill["ready_millis"].is_u64());
    assert_eq!(drill["sample"]["files"], 3);
    assert_eq!(drill["sample"]["of_files"], 3);
    assert_eq!(everything_below(&lab.path("mnt")), before);
    assert_eq!(everything_below(&lab.path("home")), sources);
    assert_eq!(mounts_of(&lab), mounts);
    assert!(!Path::new("/etc/backup-drill-was-here").exists());
    // What is remembered of it.
    assert_eq!(read_json(&lab.path("state/drill.json")), drill);
    let log = fs::read_to_string(lab.path("log/backup-drill.log")).unwrap();
    assert!(
        log.contains("all is well") && log.contains("passed"),
        "{log}"
    );
    let metrics = fs::read_to_string(lab.path("drill.prom")).unwrap();
    assert!(metrics.contains("backup_drill_success 1\n"), "{metrics}");
    let status = lab.run(&["status", "--json"]).json();
    assert_eq!(status["drill"]["verdict"], "passed");
    let said = lab.run(&["status", "-v"]);
    assert!(said.stdout.contains("Drill"), "{said}");
}

#[test]
fn a_check_asks_a_server_that_it_started_and_nobody_else() {
    let Some(mut lab) = lab("a_check_asks_a_server") else {
        return;
    };
    if !Path::new("/usr/bin/python3").exists() {
        skip("a_check_asks_a_server because there is no /usr/bin/python3");
        return;
    }
    let check = lab.script(
        "check",
        "exec /usr/bin/python3 -c '\n\
         import errno, socket\n\
         server = socket.create_server((\"127.0.0.1\", 8019))\n\
         asks = socket.create_connection((\"127.0.0.1\", 8019), 5)\n\
         server.accept()[0].send(b\"all is well\")\n\
         assert asks.recv(99) == b\"all is well\"\n\
         out = socket.socket()\n\
         out.settimeout(5)\n\
         assert out.connect_ex((\"192.0.2.1\", 80)) == errno.ENETUNREACH\n\
         '",
    );
    lab.set("monitoring.drill.checks", vec![check]);
    let drill = lab.run(&["drill", "--json"]).expect(0).json();
    assert_eq!(drill["checks"][0]["status"], "passed", "{drill:#}");
}

#[test]
fn planted_damage_is_found() {
    let Some(mut lab) = lab("planted_damage_is_found") else {
        return;
    };
    lab.set("notifications.enable", true);
    lab.set("notifications.desktop", false);
    let told = format!("cat > {}", word(&lab, "told"));
    lab.set("notifications.command", lab.script("tell", &told));
    let flipped = stored(&lab, "home/ann/photo.jpg");
    test_support::flip_byte(&flipped);
    fs::remove_file(stored(&lab, "home/bob/notes/list.md")).unwrap();
    fs::write(stored(&lab, "home/ann/letter.txt"), "short").unwrap();
    let letter = word(&lab, "home/ann/letter.txt");
    let check = lab.script(
        "check",
        &format!("grep all {letter} || {{ echo no letter; exit 3; }}"),
    );
    lab.set(
        "monitoring.drill.checks",
        vec![check, "/nonexistent/check".to_owned()],
    );
    let drill = lab.run(&["drill", "--json"]).expect(1).json();
    assert_eq!(drill["sample"]["damage_count"], 3, "{drill:#}");
    let of = |name: &str| {
        let mut all = drill["sample"]["damage"].as_array().unwrap().iter();
        let found = all.find(|one| one["path"].as_str().unwrap().ends_with(name));
        found.unwrap()["message"].as_str().unwrap().to_owned()
    };
    assert!(of("photo.jpg").contains("another content"));
    assert_eq!(of("list.md"), "is missing");
    assert_eq!(of("letter.txt"), "has 5 bytes instead of 9");
    let check = &drill["checks"][0];
    assert_eq!(check["status"], "failed");
    assert_eq!(check["message"], "failed with exit code 3");
    assert_eq!(check["output"], "no letter");
    assert_eq!(drill["checks"][1]["status"], "not-run");
    let told = fs::read_to_string(lab.path("told")).unwrap();
    assert!(told.contains("drill-failed"), "{told}");
    let said = lab.run(&["drill"]).expect(1);
    assert!(said.stdout.starts_with("failed: 3 of 3 files"), "{said}");
    assert!(said.stdout.contains("no letter"), "{said}");
    assert!(said.stdout.contains("`backup verify --repair"), "{said}");
    said.fits();
    // Until a drill passes, everybody is told.
    let health = lab.run(&["health", "--quick"]).expect(1);
    assert!(
        health.in_one_line().contains("a trial restore of"),
        "{health}"
    );
    let status = lab.run(&["status", "--json"]).json();
    assert_eq!(status["verdict"], "warning");
    assert_eq!(status["drill"]["verdict"], "failed");
}

#[test]
fn a_check_that_does_not_end_or_that_others_could_change_fails_the_drill() {
    let Some(mut lab) = lab("a_check_that_does_not_end") else {
        return;
    };
    let endless = lab.script("endless", "sleep 86397 & sleep 86398");
    let open = lab.script("open", "exit 0");
    let mode = fs::Permissions::from_mode(0o777);
    fs::set_permissions(lab.path("open"), mode).unwrap();
    lab.set(
        "monitoring.drill.checks",
        vec![endless, open, "/bin/true".to_owned()],
    );
    lab.set("monitoring.drill.timeout", "1s");
    let drill = lab.run(&["drill", "--json"]).expect(1).json();
    let checks = drill["checks"].as_array().unwrap();
    let statuses: Vec<&str> = checks
        .iter()
        .map(|one| one["status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["timed-out", "not-run", "passed"], "{drill:#}");
    let why = checks[1]["message"].as_str().unwrap();
    assert!(why.contains("not to be trusted"), "{why}");
    assert!(!runs_with("sleep 8639"), "what it started is ended");
}

#[test]
fn without_checks_a_sample_is_read_and_that_is_said() {
    let Some(lab) = lab("without_checks_a_sample_is_read") else {
        return;
    };
    let before = everything_below(&lab.path(""));
    let plan = lab.run(&["drill", "--dry-run", "--json"]).expect(0).json();
    assert_eq!(plan["checks"], serde_json::json!([]));
    let planned = lab.run(&["drill", "--dry-run"]).expect(0);
    assert!(planned.stdout.contains("Restored"), "{planned}");
    assert_eq!(everything_below(&lab.path("")), before);
    let said = lab.run(&["drill"]).expect(0);
    assert!(said.stdout.starts_with("passed: ready in"), "{said}");
    assert!(said.stdout.contains("3 files read"), "{said}");
    assert!(
        said.in_one_line().contains("monitoring.drill.checks"),
        "{said}"
    );
    said.fits();
}

#[test]
fn the_last_good_snapshot_is_taken_and_a_suspect_one_is_told() {
    let Some(lab) = lab("the_last_good_snapshot_is_taken") else {
        return;
    };
    fs::remove_dir_all(lab.path("home/ann")).unwrap();
    fs::remove_dir_all(lab.path("home/bob")).unwrap();
    lab.at(SECOND, &["apply"]).expect(3);
    let drill = lab.run(&["drill", "--json"]).expect(0).json();
    assert_eq!(drill["snapshot"]["id"], id_of(FIRST).as_str());
    assert_eq!(drill["passed_over"][0]["id"], id_of(SECOND).as_str());
    // Who names it gets it.
    let named = lab
        .run(&["drill", "--json", &id_of(SECOND)])
        .expect(1)
        .json();
    assert_eq!(named["summary"], "no file was read", "{named:#}");
}

#[test]
fn an_older_snapshot_that_passes_does_not_end_the_alarm_of_the_newest() {
    let Some(mut lab) = lab("an_older_snapshot_that_passes") else {
        return;
    };
    lab.at(SECOND, &["apply"]).expect(0);
    let (old, new) = (id_of(FIRST), id_of(SECOND));
    let check = lab.script("check", &format!("test \"$BACKUP_SNAPSHOT\" = {old}"));
    lab.set("monitoring.drill.checks", vec![check]);
    lab.run(&["drill"]).expect(1);
    lab.run(&["drill", &old]).expect(0);
    let remembered = read_json(&lab.path("state/drill.json"));
    assert_eq!(remembered["snapshot"]["id"], new.as_str());
    assert_eq!(remembered["verdict"], "failed");
}

#[test]
fn a_source_that_is_lost_from_the_drive_fails_the_drill() {
    let Some(lab) = lab("a_source_that_is_lost_from_the_drive") else {
        return;
    };
    let stored = stored(&lab, "home");
    fs::rename(&stored, stored.with_extension("lost")).unwrap();
    let said = lab.run(&["drill"]).expect(1);
    said.says("its source is not in the snapshot");
}

/// The mounts that a room could have left; other tests mount and unmount beside this one.
fn mounts_of(lab: &Lab) -> Vec<String> {
    let all = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let at = lab.text("");
    let lines = all
        .lines()
        .filter(|line| line.contains("overlay") || line.contains(&at));
    lines.map(str::to_owned).collect()
}

#[test]
fn a_drill_that_is_killed_leaves_nothing() {
    let Some(mut lab) = lab("a_drill_that_is_killed_leaves_nothing") else {
        return;
    };
    let check = lab.script("slow", "echo in the check; sleep 86396 & exec sleep 86395");
    lab.set("monitoring.drill.checks", vec![check]);
    let before = everything_below(&lab.path("mnt"));
    let mounts = mounts_of(&lab);
    for after in [0, 20, 50, 120, u64::MAX] {
        let mut command = lab.command(&["drill"]);
        command.stderr(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut said = child.stderr.take().unwrap();
        if after == u64::MAX {
            wait_for("the check", || runs_with("sleep 86395"));
        } else {
            std::thread::sleep(std::time::Duration::from_millis(after));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // It is at its end only once nobody holds it any more.
        let _ = said.read_to_end(&mut Vec::new());
        wait_for("the end of the room", || !runs_with("sleep 8639"));
        assert_eq!(everything_below(&lab.path("mnt")), before);
        assert_eq!(mounts_of(&lab), mounts);
    }
    lab.set("monitoring.drill.checks", Vec::<String>::new());
    lab.run(&["drill"]).expect(0);
}

#[test]
fn without_a_drive_or_a_snapshot_a_drill_is_refused_or_deferred() {
    let mut lab = Lab::new();
    lab.run(&["drill"])
        .expect(4)
        .says("nothing was ever backed up");
    lab.set("local.requireMount", true);
    lab.run(&["drill"])
        .expect(4)
        .says("destination not mounted");
    lab.set("local.ifAbsent", "defer");
    lab.run(&["drill"])
        .expect(75)
        .says("destination not mounted");
    assert!(!lab.path("state/drill.json").exists());
}

#[test]
fn a_user_drills_in_a_namespace_of_his_own_or_is_told_why_not() {
    let Some(mut lab) = lab("a_user_drills") else {
        return;
    };
    let program = lab.path("backup");
    fs::copy(PROGRAM, &program).unwrap();
    for folder in ["", "mnt", "home", "home/ann"] {
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(lab.path(folder), mode).unwrap();
    }
    let check = lab.script("home/ann/check", "test \"$(id -u)\" = 0");
    lab.set("monitoring.drill.checks", vec![check]);
    lab.set("local.mountPoint", lab.text("own"));
    fs::create_dir(lab.path("own")).unwrap();
    for path in everything_below(&lab.path("home")).keys() {
        chown(path, Some(BOB), Some(BOB)).unwrap();
    }
    for path in ["own", "config.json"] {
        chown(lab.path(path), Some(BOB), Some(BOB)).unwrap();
    }
    fs::remove_dir_all(lab.path("state")).unwrap();
    fs::create_dir(lab.path("bob")).unwrap();
    chown(lab.path("bob"), Some(BOB), Some(BOB)).unwrap();
    let bob = |arguments: &[&str]| {
        let mut command = lab.bare(&program);
        command
            .args(arguments)
            .arg("--config")
            .arg(lab.path("config.json"));
        command.arg("--state-dir").arg(lab.path("bob/state"));
        command.arg("--log-dir").arg(lab.path("bob/log"));
        command.uid(BOB).gid(BOB);
        run_command(command, arguments)
    };
    bob(&["apply"]).expect(0);
    let drilled = bob(&["drill"]).expect_one_of(&[0, 4]);
    match drilled.code {
        0 => assert!(
            drilled.stdout.contains("3 files read") || drilled.stdout.contains("4 files read"),
            "{drilled}"
        ),
        _ => drop(drilled.hints("run it as root")),
    }
}
