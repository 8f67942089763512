//! `setup`: a first configuration from options or questions, and what becomes of it.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    process::{Command, Stdio},
};

use nix::unistd::geteuid;
use schema::options_page::options_page;
use serde_json::{Value, json};
use test_support::{Mounted, is_missing};

use crate::lab::{
    Lab, PROGRAM, Ran, entry_names, everything_below, is_installed, read_json, run_command, skip,
};

/// The words of a setup in the lab: its configuration and state are in `new`.
fn words(lab: &Lab, words: &[&str]) -> Vec<String> {
    let mut all: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    for (option, path) in [
        ("--config", "new/config.json"),
        ("--state-dir", "new/state"),
    ] {
        all.extend([option.to_owned(), lab.text(path)]);
    }
    all
}

fn run(lab: &Lab, arguments: &[&str]) -> Ran {
    let mut command = lab.bare(PROGRAM);
    command.args(words(lab, arguments));
    run_command(command, arguments)
}

/// What answers all questions beforehand, with a mount point at which nothing is mounted.
fn flags(lab: &Lab) -> Vec<String> {
    let words = [
        "setup",
        "--mount-point",
        &lab.text("mnt"),
        "--source",
        &lab.text("home"),
        "--schedule",
        "daily",
        "--engine",
        "builtin",
    ];
    words.map(str::to_owned).to_vec()
}

fn set_up(lab: &Lab, more: &[&str]) -> Ran {
    let flags = flags(lab);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    run(lab, &[&flags[..], more].concat())
}

#[test]
fn without_a_terminal_it_says_which_options_are_missing() {
    let lab = Lab::new();
    let told = run(&lab, &["setup"]).expect(2);
    told.clone()
        .says("--mount-point, --source and --schedule are");
    told.hints("--mount-point");
    let told = run(
        &lab,
        &["setup", "--mount-point", "/mnt/a b", "--schedule", "weekly"],
    )
    .expect(2);
    told.clone().says(": --source is missing");
    told.clone().hints("--mount-point '/mnt/a b'");
    told.hints("--schedule weekly");
    let home = lab.text("home");
    for (source, schedule, engine, fault) in [
        ("/no/such/folder", "daily", "rsync", "/no/such/folder"),
        (&home, "now and then", "rsync", "calendar expression"),
        (&home, "daily", "tar", "builtin"),
    ] {
        let place = ["setup", "--mount-point", "/mnt", "--source", source];
        let how = ["--schedule", schedule, "--engine", engine];
        run(&lab, &[&place[..], &how[..]].concat())
            .expect(2)
            .says(fault);
    }
    set_up(&lab, &["--source", &lab.text("home/ann")])
        .expect(2)
        .says("inside `local.sources[0]`");
    let none = ["setup", "--mount-point", "/mnt", "--source", "/etc"];
    run(
        &lab,
        &[&none[..], &["--schedule", "none", "--enable"]].concat(),
    )
    .expect(2)
    .says("--enable needs a schedule");
    assert!(!lab.path("new").exists());
}

#[test]
fn the_configuration_that_it_writes_is_valid_and_needs_its_drive() {
    let lab = Lab::new();
    let told = set_up(&lab, &[]).expect(3);
    told.clone().says("destination not mounted");
    told.says("findmnt").says("Next:");
    let config = lab.path("new/config.json");
    assert_eq!(
        read_json(&config),
        json!({
            "version": 1,
            "local": {
                "enable": true,
                "mountPoint": lab.text("mnt"),
                "requireMount": true,
                "sources": [lab.text("home")],
                "useRsync": false,
            },
            "schedule": {"enable": true, "frequency": "daily"},
        })
    );
    let wanted = if geteuid().is_root() { 0o644 } else { 0o600 };
    for file in ["new/config.json", "new/README.md"] {
        assert_eq!(fs::metadata(lab.path(file)).unwrap().mode() & 0o777, wanted);
    }
    let readme = fs::read_to_string(lab.path("new/README.md")).unwrap();
    assert!(readme.ends_with(&options_page()));
    run(&lab, &["check"]).expect(0).says("valid");
    // What is not mounted stays empty.
    run(&lab, &["now"])
        .expect(4)
        .says("destination not mounted");
    assert_eq!(entry_names(&lab.path("mnt")), [""; 0]);
}

#[test]
fn a_configuration_that_is_there_goes_only_when_it_is_said_and_is_kept() {
    let lab = Lab::new();
    lab.write("new/config.json", "{\"mine\": true}\n");
    lab.write("new/README.md", "# My own notes\n");
    let before = everything_below(&lab.path("new"));
    for more in [&[][..], &["--dry-run"], &["--yes"]] {
        let told = set_up(&lab, more).expect(4);
        told.clone().says("is there already").hints("--replace");
        told.hints(" setup --enable");
    }
    assert_eq!(everything_below(&lab.path("new")), before);
    let told = set_up(&lab, &["--replace", "--json"]).expect(3).json();
    let kept = told["kept"].as_str().unwrap();
    assert!(
        kept.starts_with(&lab.text("new/config.json.before-")),
        "{kept}"
    );
    assert_eq!(fs::read_to_string(kept).unwrap(), "{\"mine\": true}\n");
    assert_eq!(told["readme"], Value::Null);
    let notes = fs::read_to_string(lab.path("new/README.md")).unwrap();
    assert_eq!(notes, "# My own notes\n");
    run(&lab, &["check"]).expect(0);
}

#[test]
fn a_dry_run_shows_all_and_writes_nothing() {
    let lab = Lab::new();
    let told = set_up(&lab, &["--dry-run"]).expect(3);
    assert!(told.stdout.contains("\"requireMount\": true"), "{told}");
    told.says(&lab.text("new/README.md"))
        .says("Nothing was written");
    let told = set_up(&lab, &["--dry-run", "--json"]).expect(3).json();
    assert_eq!(
        (&told["dry_run"], &told["initialized"]),
        (&json!(true), &json!(false))
    );
    let text: Value = serde_json::from_str(told["text"].as_str().unwrap()).unwrap();
    assert_eq!(text["local"]["requireMount"], true);
    // Whether systemd runs here or not, nothing is enabled.
    let told = set_up(&lab, &["--dry-run", "--enable"]);
    if Path::new("/run/systemd/system").exists() {
        told.says("backup.timer");
    } else {
        told.expect(4)
            .says("systemd does not run here")
            .hints("apply --if-due");
    }
    assert!(!lab.path("new").exists());
}

#[test]
fn a_setup_that_is_refused_or_broken_off_leaves_nothing() {
    let lab = Lab::short();
    let before = everything_below(&lab.path("."));
    let (drive, home) = (lab.text("mnt"), lab.text("home"));
    let missing = lab.text("nowhere");
    let begin = ["setup", "--mount-point", &drive, "--source"];
    for more in [
        &[&missing[..], "--schedule", "daily"][..],
        &[&home, "--schedule", "none", "--enable"],
        &[&home, "--schedule", "never", "--engine", "builtin"],
        &[&drive, "--schedule", "daily", "--engine", "builtin"],
    ] {
        let refused = run(&lab, &[&begin[..], more].concat());
        assert!([2, 4].contains(&refused.code), "{refused}");
        assert!(before == everything_below(&lab.path(".")), "{refused}");
    }
    run(&lab, &["setup"]).expect(2);
    let words = [
        &begin[..],
        &[&home, "--schedule", "daily", "--engine", "builtin"],
    ]
    .concat();
    run(&lab, &[&words[..], &["--dry-run"]].concat()).expect(3);
    assert!(before == everything_below(&lab.path(".")));
    // The answer to the last question is no, or there is none.
    for typed in ["n\n", "\u{4}"] {
        let Some(told) = at_a_terminal(&lab, &words, typed) else {
            return;
        };
        assert_ne!(told.code, 0, "{told}");
        let left = entry_names(&lab.path("."));
        assert_eq!(
            left,
            ["config.json", "home", "line", "mnt", "typed"],
            "{told}"
        );
    }
}

#[test]
fn where_others_could_change_it_nothing_is_written() {
    let lab = Lab::new();
    fs::create_dir(lab.path("new")).unwrap();
    fs::set_permissions(lab.path("new"), fs::Permissions::from_mode(0o777)).unwrap();
    set_up(&lab, &[]).expect(4).says("is not to be trusted");
    assert_eq!(entry_names(&lab.path("new")), [""; 0]);
}

#[test]
fn from_nothing_to_a_backup_it_takes_two_commands() {
    if is_missing("from_nothing_to_a_backup", &[], true) {
        return;
    }
    let lab = Lab::new();
    let drive = Mounted::new(
        &["-t", "tmpfs", "-o", "size=12g", "drive"],
        &lab.path("mnt"),
    );
    let told = set_up(&lab, &["--yes", "--json"]).expect(0).json();
    assert_eq!(told["initialized"], true);
    assert_eq!(
        told["warnings"].as_array().unwrap().len(),
        1,
        "it is in memory"
    );
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    let folder = drive.path().join(&host);
    assert!(folder.join(".backup/destination.json").exists());
    // What it says to do next can be pasted, and makes the backup.
    let next = told["next"].as_array().unwrap().iter();
    let lines: Vec<&str> = next.map(|step| step["command"].as_str().unwrap()).collect();
    assert!(lines[1].ends_with(" now"), "{lines:?}");
    for line in &lines[..3] {
        let mut shell = lab.bare("/bin/sh");
        shell.args(["-c", line]);
        run_command(shell, &[line]).expect(0);
    }
    assert!(
        folder
            .join("latest")
            .join(lab.text("home").trim_start_matches('/'))
            .exists()
    );
    drive.end();
}

#[test]
fn a_folder_of_a_drive_is_no_mount_point() {
    if is_missing("a_folder_of_a_drive_is_no_mount_point", &[], true) {
        return;
    }
    let lab = Lab::new();
    let drive = Mounted::new(&["-t", "tmpfs", "drive"], &lab.path("mnt"));
    let below = drive.path().join("backups");
    let below = below.to_str().unwrap();
    let told = run(
        &lab,
        &[
            "setup",
            "--mount-point",
            below,
            "--source",
            "/etc",
            "--schedule",
            "none",
        ],
    );
    told.expect(3)
        .hints(&format!("that it is in: {}", lab.text("mnt")));
    drive.end();
    let mounted = Mounted::new(&["-t", "tmpfs", "-o", "ro", "drive"], &lab.path("mnt"));
    set_up(&lab, &["--replace"])
        .expect(4)
        .says("cannot be written to");
    drop(mounted);
}

/// A setup on a machine whose `/etc/fstab` is this; none where that cannot be had.
fn run_with_fstab(test: &str, lab: &Lab, fstab: &str, arguments: &[&str]) -> Option<Ran> {
    if is_missing(test, &["unshare", "mount"], true) {
        return None;
    }
    if !Path::new("/etc/fstab").exists() {
        skip(&format!("{test} because there is no /etc/fstab"));
        return None;
    }
    lab.write("fstab", fstab);
    let mut command = lab.bare("unshare");
    let line = "mount --bind \"$0\" /etc/fstab && exec \"$@\"";
    command
        .args(["--mount", "--propagation", "private", "sh", "-c", line])
        .args([&lab.text("fstab"), PROGRAM])
        .args(words(lab, arguments));
    Some(run_command(command, arguments))
}

#[test]
fn a_drive_that_fstab_names_and_that_is_not_mounted_is_told_with_the_command_that_mounts_it() {
    let test = "a_drive_that_fstab_names_and_that_is_not_mounted";
    let lab = Lab::short();
    let mnt = lab.text("mnt");
    let away = format!("LABEL=nowhere {mnt} ext4 nofail 0 2\n");
    let share = format!("nas:/backup {mnt} nfs nofail,_netdev 0 0\n");
    let flags = flags(&lab);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let Some(told) = run_with_fstab(test, &lab, &away, &flags) else {
        return;
    };
    let told = told.expect(3).says("destination not mounted");
    let told = told.hints(&format!("plug LABEL=nowhere in, then `mount {mnt}`"));
    let told = told.says("mounts the drive: plug LABEL=nowhere in first");
    assert!(!told.all().contains("findmnt"), "{told}");

    let again = [&flags[..], &["--replace"]].concat();
    let told = run_with_fstab(test, &lab, &share, &again)
        .unwrap()
        .expect(3);
    let told = told.hints(&format!("`mount {mnt}`: /etc/fstab says"));
    told.says("nfs, nas:/backup");
    fs::remove_dir_all(lab.path("new")).unwrap();

    // Nobody says where to: the whole of what is to be done is one line.
    let unsaid = ["setup", "--yes"];
    let told = run_with_fstab(test, &lab, &share, &unsaid).unwrap();
    if told.all().contains("mounted are") || told.code != 2 {
        return skip(&format!("the end of {test} because a drive is mounted"));
    }
    let told = told.says("no drive for backups is mounted");
    let told = told.hints(&format!("`mount {mnt} && "));
    told.hints(&format!(" setup --mount-point {mnt} --source "));
    let told = run_with_fstab(test, &lab, &away, &unsaid)
        .unwrap()
        .expect(2);
    told.hints(&format!("plug LABEL=nowhere in, then `mount {mnt} && "));
    let told = run_with_fstab(test, &lab, "# nothing\n", &unsaid)
        .unwrap()
        .expect(2);
    if !told.all().contains("could be:") {
        told.hints("--cloud REMOTE");
    }
    assert!(!lab.path("new").exists());
}

/// A lab in whose home rclone has a remote `nas:`, a folder of the lab.
fn lab_with_remote(test: &str) -> Option<Lab> {
    if !crate::cloud_live::there_is_rclone(test) {
        return None;
    }
    let lab = Lab::short();
    fs::create_dir(lab.path("far")).unwrap();
    let file = "user/.config/rclone/rclone.conf";
    lab.write(
        file,
        &format!("[nas]\ntype = alias\nremote = {}\n", lab.text("far")),
    );
    fs::set_permissions(lab.path(file), fs::Permissions::from_mode(0o600)).unwrap();
    Some(lab)
}

#[test]
fn without_a_drive_a_backup_in_the_cloud_takes_two_commands() {
    let Some(lab) = lab_with_remote("without_a_drive_a_backup_in_the_cloud") else {
        return;
    };
    let home = lab.text("home");
    let setup = |more: &[&str]| {
        let first = ["setup", "--source", &home, "--schedule", "daily"];
        run(&lab, &[&first[..], more].concat())
    };
    for (more, code, says, hint) in [
        (&["--cloud", "nas"][..], 2, "no remote of rclone", "nas:"),
        (
            &["--cloud", "other:"],
            4,
            "no remote `other:`",
            "there is nas:",
        ),
        (
            &["--cloud", "nas:", "--init"],
            2,
            "--init is about a drive",
            "--mount-point",
        ),
        (
            &["--cloud", "nas:", "--engine", "rsync"],
            2,
            "--engine",
            "leave --engine out",
        ),
    ] {
        setup(more).expect(code).says(says).hints(hint);
    }
    let mut command = lab.bare(PROGRAM);
    let line = [
        "setup",
        "--cloud",
        "nas:",
        "--source",
        &home,
        "--schedule",
        "none",
    ];
    command.args(words(&lab, &line)).env("PATH", "/nowhere");
    run_command(command, &line)
        .expect(4)
        .hints("install rclone");
    assert!(!lab.path("new").exists());

    let told = setup(&["--cloud", "nas:", "--json"]).expect(0).json();
    assert_eq!(told["initialized"], false);
    assert_eq!(
        read_json(&lab.path("new/config.json")),
        json!({
            "version": 1,
            "local": {"enable": false, "sources": [home]},
            "cloud": {
                "enable": true,
                "provider": "custom",
                "remote": "nas:",
                "configFile": lab.text("user/.config/rclone/rclone.conf"),
            },
            "schedule": {"enable": true, "frequency": "daily"},
        })
    );
    // What it says to do next makes the backup.
    let next = told["next"].as_array().unwrap().iter();
    let lines: Vec<&str> = next.map(|step| step["command"].as_str().unwrap()).collect();
    assert!(lines[1].ends_with(" now"), "{lines:?}");
    let mut shell = lab.bare("/bin/sh");
    shell.args(["-c", lines[1]]);
    run_command(shell, &[lines[1]]).expect(0);
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    let letter = format!("far/Backups/{host}/current{home}/ann/letter.txt");
    assert_eq!(fs::read_to_string(lab.path(letter)).unwrap(), "dear all\n");
}

#[test]
fn a_person_may_name_a_remote_where_a_drive_is_asked_for() {
    let Some(lab) = lab_with_remote("a_person_may_name_a_remote") else {
        return;
    };
    let typed = format!("other:\nnas:\n{}\nnone\ny\n", lab.text("home"));
    let Some(told) = at_a_terminal(&lab, &["setup"], &typed) else {
        return;
    };
    told.expect(0).says("no remote `other:`").says("wrote ");
    let config = read_json(&lab.path("new/config.json"));
    assert_eq!(config["cloud"]["remote"], "nas:");
    assert_eq!(config["local"]["enable"], false);
    run(&lab, &["check"]).expect(0);
}

/// Runs a setup in a terminal, where these lines are typed.
fn at_a_terminal(lab: &Lab, arguments: &[&str], typed: &str) -> Option<Ran> {
    if !is_installed("script") {
        skip("script(1) of bsdutils is not installed");
        return None;
    }
    let words: Vec<String> = std::iter::once(PROGRAM.to_owned())
        .chain(words(lab, arguments))
        .map(|word| format!("'{word}'"))
        .collect();
    lab.write("typed", typed);
    lab.write("line", &words.join(" "));
    let mut shell: Command = lab.bare("/bin/sh");
    // The answers wait in the terminal until they are read.
    let line = "script -qec \"$(cat line)\" /dev/null < typed";
    shell.args(["-c", line]).stdin(Stdio::null());
    Some(run_command(shell, arguments))
}

#[test]
fn a_person_is_asked_and_a_wrong_answer_is_asked_again() {
    // Its paths are typed and need no quotes.
    let lab = Lab::short();
    let (drive, home) = (lab.text("mnt"), lab.text("home"));
    let typed = [
        "not/a/path",
        &drive,
        // Nothing is mounted there: no; and again.
        "n",
        &drive,
        "y",
        "/no/such/folder",
        &format!("'{home}'"),
        "whenever",
        "Mon,Thu 20:00",
    ];
    let typed = format!("{}\n", typed.join("\n"));
    let arguments = ["setup", "--engine", "builtin"];
    let Some(told) = at_a_terminal(&lab, &arguments, &format!("{typed}n\n")) else {
        return;
    };
    let told = told.expect(4);
    for text in [
        "begins with /",
        "nothing is mounted at",
        "/no/such/folder",
        "whenever",
        "nothing was written",
    ] {
        told.clone().says(text);
    }
    assert!(!lab.path("new").exists());

    // Enough of them that no question is left; units are never asked for without a schedule.
    let typed = typed.replace("Mon,Thu 20:00", "none");
    let told = at_a_terminal(&lab, &arguments, &format!("{typed}y\n")).unwrap();
    told.expect(3).says("wrote ").says("Next:");
    let config = read_json(&lab.path("new/config.json"));
    assert_eq!(config["local"]["mountPoint"], json!(drive));
    assert_eq!(config["local"]["sources"], json!([home]));
    assert_eq!(config["schedule"]["enable"], false);
    run(&lab, &["check"]).expect(0);
}
