//! Users read the snapshots through a read-only view, and never write to them.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::Command,
};

use test_support::{Mounted, why_nothing_can_be_mounted};

use crate::lab::{HOST, Lab, PROGRAM, Ran, finding_codes, id_of, run_command, skip};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";
const THIRD: &str = "2025-03-07T02:00:00+01:00";
/// Who owns nothing on any system, and here the files of `home/bob`.
const BOB: u32 = 65534;

/// A lab whose files of bob are a user's of their own.
struct Shared {
    lab: Lab,
}

impl Shared {
    fn new(test: &str) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            skip(&format!(
                "{test} because only root can mount, and be another user"
            ));
            return None;
        }
        let lab = Lab::short();
        fs::copy(PROGRAM, lab.path("backup")).unwrap();
        fs::create_dir(lab.path("user")).unwrap();
        for path in [
            "home/bob",
            "home/bob/notes",
            "home/bob/notes/list.md",
            "user",
        ] {
            chown(lab.path(path), Some(BOB), Some(BOB)).unwrap();
        }
        for open in ["", "mnt"] {
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(lab.path(open), mode).unwrap();
        }
        Some(Self { lab })
    }

    /// Where users see the snapshots.
    fn view(&self) -> PathBuf {
        let folder = self.lab.path(format!("mnt/{HOST}"));
        Path::new("/run/backup").join(folder.strip_prefix("/").unwrap())
    }

    fn bob(&self, arguments: &[&str]) -> Ran {
        let mut command = self.lab.bare(self.lab.path("backup"));
        let config = self.lab.path("config.json");
        command.args(arguments).arg("--config").arg(&config);
        command.uid(BOB).gid(BOB);
        let ran = run_command(command, arguments);
        // What he is told of is the program and the configuration that he named.
        let program = self.lab.text("backup");
        let config = format!(" --config {}", config.display());
        let stderr = ran.stderr.replace(&config, "");
        Ran {
            stderr: stderr.replace(&format!("sudo {program}"), "sudo backup"),
            ..ran
        }
    }

    /// Whether bob can do this in a shell.
    fn can(&self, script: &str) -> bool {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", script]).uid(BOB).gid(BOB);
        shell.stderr(std::process::Stdio::null());
        shell.status().unwrap().success()
    }

    fn list_in(&self, folder: &Path) -> String {
        let source = self.lab.path("home/bob/notes/list.md");
        folder
            .join(source.strip_prefix("/").unwrap())
            .display()
            .to_string()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = self.lab.run(&["view", "--remove"]);
    }
}

#[test]
fn users_read_the_snapshots_and_never_write_to_them() {
    let Some(mut shared) = Shared::new("users_read_the_snapshots") else {
        return;
    };
    shared.lab.set("local.readableByUsers", true);
    let view = shared.view();
    let said = view.display().to_string();
    let planned = shared.lab.at(FIRST, &["-v", "plan"]);
    planned.expect(0).says(&said);
    shared.lab.at(FIRST, &["apply"]).expect(0).says(&said);
    shared.lab.at(SECOND, &["apply"]).expect(0);
    let lab = &shared.lab;
    let mode = fs::metadata(lab.stored("")).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o700);
    assert!(!shared.can(&format!("ls {}", lab.stored("").display())));

    let seen = shared.list_in(&view.join("latest"));
    assert!(shared.can(&format!("cat '{seen}'")), "{seen}");
    for id in [FIRST, SECOND].map(id_of) {
        assert!(shared.can(&format!("ls '{}'/*/{id}/", view.display())));
    }
    let notes = Path::new(&seen).parent().unwrap().display().to_string();
    for write in [
        format!("echo x >> '{seen}'"),
        format!("rm -f '{seen}' && ! test -e '{seen}'"),
        format!("chmod 777 '{seen}'"),
        format!("touch '{seen}'"),
        format!("mv '{notes}' '{notes}.away'"),
        format!("echo x > '{notes}/new'"),
        format!("ln '{seen}' '{}/linked'", lab.text("user")),
        format!("echo x > '{}/new'", view.display()),
        format!("ls '{}/.backup'", view.display()),
    ] {
        assert!(!shared.can(&write), "{write}");
    }
    lab.run(&["verify"]).expect(0);

    let (bob, back) = (lab.text("home/bob"), lab.text("user/back"));
    shared.bob(&["restore", "latest", &bob, &back]).expect(0);
    assert_eq!(
        fs::read(lab.path("user/back/notes/list.md")).unwrap(),
        fs::read(lab.path("home/bob/notes/list.md")).unwrap()
    );
    let listed = shared.bob(&["list"]).expect(0).says(&id_of(FIRST));
    let listed = listed.says("not allowed to look at").hints("sudo backup");
    assert!(!listed.all().contains("chmod"), "{listed}");
    let config = lab.text("config.json");
    let mut question = lab.bare(lab.path("backup"));
    question.args(["__complete", "backup", "restore", "--config", &config, ""]);
    question.uid(BOB).gid(BOB);
    let asked = run_command(question, &["__complete"]).expect(0);
    for name in ["latest", &id_of(FIRST), &id_of(SECOND)] {
        assert!(asked.stdout.contains(&format!("{name}\t")), "{asked}");
    }
    for verb in [
        &["status"][..],
        &["find", "list.md"],
        &["verify"],
        &["diff", "latest", "now"],
        &["health", "--quick"],
        &["delete", "latest", "--yes"],
        &["prune", "--yes"],
        &["pin", "latest"],
        &["accept", "latest"],
    ] {
        let told = shared.bob(verb).expect(4).says("not allowed to look at");
        assert!(!told.all().contains("no backup yet"), "{told}");
        assert!(!told.all().contains("not made by this program"), "{told}");
        told.hints("sudo backup");
    }
    let planned = shared.bob(&["plan"]).expect(4);
    assert!(
        !planned.all().contains("not made by this program"),
        "{planned}"
    );
}

#[test]
fn the_view_follows_the_option() {
    let Some(mut shared) = Shared::new("the_view_follows_the_option") else {
        return;
    };
    let view = shared.view();
    shared.lab.backup(FIRST);
    assert!(!view.exists());
    let (bob, back) = (shared.lab.text("home/bob"), shared.lab.text("user/back"));
    for verb in [
        &["status"][..],
        &["list"],
        &["find", "list.md"],
        &["verify"],
        &["restore", "latest", &bob, &back],
    ] {
        shared
            .bob(verb)
            .expect(4)
            .says("not allowed to look at")
            .hints("sudo backup");
    }
    // Turned on later it shows what is there already.
    shared.lab.set("local.readableByUsers", true);
    let health = shared.lab.run(&["health", "--quick", "--json"]).json();
    assert!(
        finding_codes(&health["findings"]).contains(&"users-cannot-read"),
        "{health}"
    );
    shared.lab.at(SECOND, &["apply"]).expect(0);
    shared
        .bob(&["restore", &id_of(FIRST), &bob, &back])
        .expect(0);
    let health = shared.lab.run(&["health", "--quick", "--json"]).json();
    assert!(
        !finding_codes(&health["findings"]).contains(&"users-cannot-read"),
        "{health}"
    );
    // Taken away by hand, and made again.
    shared.lab.run(&["view", "--remove"]).expect(0);
    assert!(!view.exists());
    shared
        .lab
        .run(&["view"])
        .expect(0)
        .says(&view.display().to_string());
    assert!(shared.can(&format!("cat '{}'", shared.list_in(&view.join("latest")))));
    shared.bob(&["view"]).expect(4).hints("sudo backup view");
    // Turned off it is gone with the next run.
    shared.lab.set("local.readableByUsers", false);
    let ended = shared.lab.at(THIRD, &["apply"]).expect(0);
    ended.says("users no longer read it");
    assert!(!view.exists());
    shared.bob(&["list"]).expect(4);
}

#[test]
fn a_view_of_what_was_exchanged_is_made_anew_and_never_backed_up() {
    let Some(mut shared) = Shared::new("a_view_of_what_was_exchanged") else {
        return;
    };
    shared.lab.set("local.readableByUsers", true);
    let view = shared.view();
    // What is stored is in no snapshot, however it is reached.
    shared.lab.set("local.oneFileSystem", false);
    let sources = [shared.lab.text("home"), "/run/backup".to_owned()];
    shared.lab.set("local.sources", serde_json::json!(sources));
    fs::create_dir_all("/run/backup").unwrap();
    shared.lab.backup(FIRST);
    shared.lab.at(SECOND, &["apply"]).expect_one_of(&[0, 3]);
    let stored = shared.lab.inside("latest", view.join("daily"));
    assert!(!stored.exists(), "{}", stored.display());
    // Another disk has taken the place of the first.
    fs::rename(shared.lab.path("mnt"), shared.lab.path("first")).unwrap();
    fs::create_dir(shared.lab.path("mnt")).unwrap();
    let told = shared.lab.run(&["view"]).expect(0);
    told.says("nothing to show");
    assert!(!view.join("daily").exists());
    fs::remove_dir(shared.lab.path("mnt")).unwrap();
    fs::rename(shared.lab.path("first"), shared.lab.path("mnt")).unwrap();
    shared.lab.run(&["view"]).expect(0);
    assert!(shared.can(&format!("cat '{}'", shared.list_in(&view.join("latest")))));
}

#[test]
fn a_drive_that_is_unmounted_by_hand_is_let_go_of() {
    let test = "a_drive_that_is_unmounted_by_hand_is_let_go_of";
    let Some(mut shared) = Shared::new(test) else {
        return;
    };
    if let Some(because) = why_nothing_can_be_mounted() {
        skip(&format!("{test} because {because}"));
        return;
    }
    shared.lab.set("local.readableByUsers", true);
    shared.lab.set("local.requireMount", true);
    let view = shared.view();
    let is_busy = || {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        mounts.contains(view.to_str().unwrap())
    };
    for if_absent in ["fail", "defer"] {
        shared.lab.set("local.ifAbsent", if_absent);
        let drive = Mounted::new(&["-t", "tmpfs", "none"], &shared.lab.path("mnt"));
        shared.lab.run(&["init"]).expect(0);
        shared.lab.backup(FIRST);
        // Nobody keeps a person from doing that, and who looks is told.
        drive.end();
        assert!(is_busy());
        let health = shared.lab.run(&["health", "--quick", "--json"]).json();
        assert!(
            finding_codes(&health["findings"]).contains(&"user-view-left"),
            "{health}"
        );
        let plan = shared.lab.at(SECOND, &["plan"]);
        plan.says("may keep the drive in use")
            .hints("`backup view --remove`");
        assert!(is_busy(), "who looks changes nothing");
        let code = if if_absent == "fail" { 4 } else { 75 };
        shared.lab.at(SECOND, &["apply"]).expect(code);
        assert!(!is_busy());
        assert!(!view.exists());
        fs::remove_dir_all(shared.lab.path("state")).unwrap();
    }
}

#[test]
fn what_an_ordinary_user_backs_up_is_never_opened_to_others() {
    let Some(shared) = Shared::new("what_an_ordinary_user_backs_up") else {
        return;
    };
    let Shared { lab } = &shared;
    let mut config: serde_json::Value =
        serde_json::from_slice(&fs::read(lab.path("config.json")).unwrap()).unwrap();
    config["local"]["readableByUsers"] = true.into();
    config["local"]["sources"] = serde_json::json!([lab.text("home/bob")]);
    fs::create_dir(lab.path("user/disk")).unwrap();
    chown(lab.path("user/disk"), Some(BOB), Some(BOB)).unwrap();
    config["local"]["mountPoint"] = lab.text("user/disk").into();
    fs::write(lab.path("user/config.json"), config.to_string()).unwrap();
    let mut command = lab.bare(lab.path("backup"));
    command
        .args(["apply", "--config"])
        .arg(lab.path("user/config.json"));
    command.arg("--state-dir").arg(lab.path("user/state"));
    command.uid(BOB).gid(BOB);
    run_command(command, &["apply"])
        .expect(3)
        .says("only root can mount something")
        .hints("set local.readableByUsers to false");
    let mode = fs::metadata(lab.path(format!("user/disk/{HOST}")))
        .unwrap()
        .mode();
    assert_eq!(mode & 0o7777, 0o700);
}
