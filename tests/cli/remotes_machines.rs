//! Remotes with history from other machines, by users who are not root, and by a shell that completes.

use std::fs;

use crate::{
    lab::{HOST, Lab, contents_below, entry_names, id_of, run_command},
    machines::on_machines,
    remotes::{FIRST, SECOND, THIRD, back_up, lab, lose_machine},
};

#[test]
fn another_machine_restores_with_the_configuration_alone() {
    let Some(mut lab) = lab("another_machine_restores") else {
        return;
    };
    let home = contents_below(&lab.path("home"));
    // The same name after a new installation: another machine-id, another state directory.
    let script = format!(
        "machine $A\non a apply --now FIRST\numount /etc/machine-id\nrm -r state-a \"$mnt\"/*\n\
         machine $B\non b list --destination b2\n\
         on b restore --destination b2 latest '{}' back\n\
         ends 3 on b apply --now 2025-03-06T02:00:00+01:00\n\
         on b init --destination b2 --take-over\n\
         on b apply --now 2025-03-07T02:00:00+01:00\n",
        lab.text("home")
    );
    let Some(told) = on_machines(&lab, &script) else {
        return;
    };
    told.expect(0).says(&id_of(FIRST)).says("another machine");
    assert_eq!(contents_below(&lab.path("back")), home);
    // Under its own name a machine has nothing there; with the old one's it has all of it.
    lab.set("hostname", "birch");
    let none = lab.run(&[
        "restore",
        "--destination",
        "b2",
        "latest",
        "/",
        &lab.text("none"),
    ]);
    none.expect(4).hints("hostname");
    lab.set("hostname", HOST);
    lab.run(&[
        "restore",
        "--destination",
        "b2",
        &id_of(FIRST),
        &lab.text("home"),
        &lab.text("again"),
    ])
    .expect(0);
    assert_eq!(contents_below(&lab.path("again")), home);
}

/// What a shell offers behind these words.
fn offered(lab: &Lab, words: &[&str]) -> Vec<String> {
    let mut command = lab.command(&["__complete", "backup"]);
    command.args(words);
    let asked = run_command(command, words).expect(0);
    let words = asked
        .stdout
        .lines()
        .filter_map(|line| line.split('\t').next());
    words.map(str::to_owned).collect()
}

#[test]
fn a_shell_offers_the_snapshots_of_a_remote_and_the_paths_in_them() {
    let Some(lab) = lab("a_shell_offers") else {
        return;
    };
    back_up(&lab, FIRST);
    lab.write("home/ann/later.txt", "later\n");
    back_up(&lab, SECOND);
    let of_b2 = ["restore", "--destination", "b2"];
    let ask = |words: &[&str]| offered(&lab, &[&of_b2[..], words].concat());
    assert_eq!(ask(&["20"]), [id_of(SECOND), id_of(FIRST)]);
    let ann = lab.text("home/ann/");
    let named = |names: &[&str]| -> Vec<String> {
        names.iter().map(|name| format!("{ann}{name}")).collect()
    };
    let all = named(&["later.txt", "letter.txt", "photo.jpg"]);
    assert_eq!(ask(&["latest", &ann]), all);
    assert_eq!(ask(&[&id_of(FIRST), &ann]), all[1..]);
    assert_eq!(ask(&["latest", &format!("{ann}le")]), all[1..2]);
    let home = lab.text("home/");
    let folders = ["ann/", "bob/"].map(|name| format!("{home}{name}"));
    assert_eq!(ask(&["latest", &home]), folders);
    assert!(ask(&["latest", "/nowhere/"]).is_empty());
    // A new machine knows nothing yet, and asks nobody for it.
    lose_machine(&lab);
    assert!(ask(&["20"]).is_empty());
    assert!(!lab.path("state").exists());
    lab.at(THIRD, &["list", "--destination", "b2"]).expect(0);
    assert_eq!(ask(&["latest", &ann]), all);
}

#[test]
fn a_user_lists_his_own_remote_and_is_told_whose_that_of_the_machine_is() {
    use std::os::unix::fs::{PermissionsExt as _, chown};
    use std::os::unix::process::CommandExt as _;
    const NOBODY: u32 = 65534;
    let Some(lab) = lab("a_user_lists") else {
        return;
    };
    if !nix::unistd::geteuid().is_root() {
        crate::lab::skip("a_user_lists because only root becomes another user");
        return;
    }
    back_up(&lab, FIRST);
    let open = |mode: u32| fs::set_permissions(lab.path(""), fs::Permissions::from_mode(mode));
    open(0o755).unwrap();
    let program = lab.path("backup");
    fs::copy(crate::lab::PROGRAM, &program).unwrap();
    let run = |verb: &[&str], state: &str| {
        let mut command = lab.bare(&program);
        command
            .args(verb)
            .args(["--config", &lab.text("config.json")]);
        command.args([
            "--state-dir",
            &lab.text(state),
            "--log-dir",
            &lab.text("theirs/log"),
        ]);
        command.uid(NOBODY).gid(NOBODY);
        run_command(command, verb)
    };
    fs::create_dir(lab.path("theirs")).unwrap();
    chown(lab.path("theirs"), Some(NOBODY), Some(NOBODY)).unwrap();
    let before = contents_below(&lab.path("far"));
    // The machine's disk and credentials are root's: he is told so, and nothing is made or changed.
    for verb in [&["list"][..], &["list", "--destination", "b2"], &["status"]] {
        let told = run(verb, "theirs/state").expect_one_of(&[0, 1, 2, 3, 4]);
        assert!(!told.stdout.contains(&id_of(FIRST)), "{told}");
        assert_ne!((told.code, told.stderr.is_empty()), (0, true), "{told}");
    }
    assert_eq!(contents_below(&lab.path("far")), before);
    // With his own credentials he reads what his remote has.
    chown(lab.path("rclone.conf"), Some(NOBODY), Some(NOBODY)).unwrap();
    chown(lab.path("config.json"), Some(NOBODY), Some(NOBODY)).unwrap();
    for entry in walkdir::WalkDir::new(lab.path("far")) {
        chown(entry.unwrap().path(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let told = run(&["list", "--destination", "b2"], "theirs/state").expect(0);
    assert!(told.stdout.contains(&id_of(FIRST)), "{told}");
    assert!(!entry_names(&lab.path("theirs/state")).is_empty());
}
