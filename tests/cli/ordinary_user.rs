//! Who may read what, and a user who is not root.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{MetadataExt as _, PermissionsExt as _, chown, symlink},
        process::CommandExt as _,
    },
    path::Path,
    process::Command,
};

use test_support::{check_with_example, read_by_format_page};

use crate::{
    format::as_hex,
    lab::{Lab, PROGRAM, Ran, contents_below, entry_names, id_of, read_json, run_command},
};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
/// Who owns nothing on any system.
const NOBODY: u32 = 65534;

#[test]
fn state_and_logs_are_for_their_owner() {
    let lab = Lab::new();
    let mut command = Command::new("/bin/sh");
    // Whatever the caller's mask allows.
    command.args(["-c", "umask 000; exec \"$@\"", "sh"]);
    let inner = lab.command(&["apply", "--now", FIRST]);
    command.arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    run_command(command, &["apply"]).expect(0);

    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().mode() & 0o7777;
    assert_eq!(mode(&lab.path("state")), 0o700);
    assert_eq!(mode(&lab.stored("")), 0o700);
    for folder in ["state", "log"] {
        for entry in walkdir::WalkDir::new(lab.path(folder)) {
            let entry = entry.unwrap();
            let mode = mode(entry.path());
            assert_eq!(mode & 0o077, 0, "{} {mode:o}", entry.path().display());
        }
    }
    for entry in walkdir::WalkDir::new(lab.stored(".backup")) {
        let entry = entry.unwrap();
        let mode = mode(entry.path());
        assert_eq!(mode & 0o022, 0, "{} {mode:o}", entry.path().display());
    }
}

/// A lab that belongs to an ordinary user: nobody if the tests run as root, else whoever runs
/// them.
struct Theirs {
    lab: Lab,
    is_root: bool,
}

impl Theirs {
    fn new() -> Self {
        let lab = Lab::short();
        let is_root = nix::unistd::geteuid().is_root();
        fs::create_dir(lab.path("user")).unwrap();
        lab.write("user/Documents/letter.txt", &"dear all\n".repeat(300));
        lab.write("user/Documents/notes/list.md", "- milk\n");
        // The build folder may be closed to others.
        fs::copy(PROGRAM, lab.path("backup")).unwrap();
        if is_root {
            let open = fs::Permissions::from_mode(0o755);
            fs::set_permissions(lab.path(""), open).unwrap();
            for entry in walkdir::WalkDir::new(lab.path("")) {
                chown(entry.unwrap().path(), Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        Self { lab, is_root }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.lab.bare(self.lab.path("backup"));
        command.args(arguments);
        if self.is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        run_command(self.command(arguments), arguments)
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        // Folders that not even their owner may enter could not be removed, in snapshots neither.
        let mut open = Command::new("chmod");
        let _ = open.args(["-R", "u+rwX"]).arg(self.lab.path("")).status();
    }
}

/// What `try` says besides the plan, without what differs between machines and runs.
fn steady(lab: &Lab, told: &Ran) -> String {
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    let root = lab.text("").trim_end_matches('/').to_owned();
    let said = told.stderr.replace(&format!("/try/{host}"), "/try/HOST");
    let mut steady = String::new();
    for line in said.replace(&root, "/LAB").lines() {
        let line = match line.rsplit_once(" in ") {
            Some((start, took)) if took.ends_with(" s") => format!("{start} in TIME"),
            _ => line.to_owned(),
        };
        steady.push_str(&line);
        steady.push('\n');
    }
    let words = said.split(['/', '\n', ' ']);
    let mut ids: Vec<&str> = words
        .map(|word| word.trim_start_matches("restored-"))
        .filter(|word| word.len() == 19 && word.as_bytes()[10] == b'_')
        .collect();
    ids.sort_unstable();
    ids.dedup();
    for (index, id) in ids.iter().enumerate() {
        steady = steady.replace(id, &format!("SNAPSHOT{}", index + 1));
    }
    // Which tier keeps them longest depends on the date.
    for tier in ["daily/", "weekly/", "monthly/"] {
        steady = steady.replace(tier, "TIER/");
    }
    steady
}

#[test]
fn a_user_can_try_it_without_any_configuration() {
    let theirs = Theirs::new();
    let lab = &theirs.lab;
    let documents = lab.text("user/Documents");
    let told = theirs.run(&["try", &documents]).expect(0);
    insta::assert_snapshot!("try", steady(lab, &told));

    let all = lab.path("user/.local/share/backup/try");
    let host = entry_names(&all)
        .into_iter()
        .find(|name| all.join(name).join("latest").exists())
        .unwrap();
    let snapshots = entry_names(&all.join(&host).join("daily"));
    assert_eq!(snapshots.len(), 2);
    for snapshot in &snapshots {
        let inside = all.join(&host).join("daily").join(snapshot);
        let stored = inside.join(documents.trim_start_matches('/'));
        assert_eq!(
            contents_below(&stored),
            contents_below(&lab.path("user/Documents"))
        );
    }
    let restored = entry_names(&all)
        .into_iter()
        .find(|name| name.starts_with("restored-"))
        .unwrap();
    let restored = all.join(restored).join("letter.txt");
    assert_eq!(
        fs::read(restored).unwrap(),
        fs::read(lab.path("user/Documents/letter.txt")).unwrap()
    );
    let mode = fs::metadata(&all).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o700);

    // Its configuration serves every other verb.
    let config = all.join("config.json");
    let config = config.to_str().unwrap();
    let listed = theirs.run(&["list", "--config", config]).expect(0);
    for snapshot in &snapshots {
        assert!(listed.stdout.contains(snapshot), "{listed}");
    }
}

#[test]
fn what_a_trial_wrote_is_no_configuration_anywhere_else() {
    let theirs = Theirs::new();
    let lab = &theirs.lab;
    theirs
        .run(&["try", &lab.text("user/Documents")])
        .expect(0)
        .says(" setup");
    let trial = lab.path("user/.local/share/backup/try");
    let documents = walkdir::WalkDir::new(&trial).into_iter();
    let documents = documents.map(|entry| entry.unwrap().into_path());
    let configs: Vec<_> = documents
        .filter(|path| path.file_name() == Some(OsStr::new("config.json")))
        .collect();
    assert!(configs.len() > 2, "its own and those of its runs");
    let config = lab.path("user/.config/backup/config.json");
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    for one in configs {
        fs::write(&config, fs::read(&one).unwrap()).unwrap();
        for verb in ["check", "plan", "apply", "init", "systemd-units"] {
            let told = theirs.run(&[verb]).expect(2);
            told.says("trial")
                .says("`try` writes it")
                .hints("`setup` writes");
        }
    }
    // Nor is it one by a link to it.
    fs::remove_file(&config).unwrap();
    symlink(trial.join("config.json"), &config).unwrap();
    theirs.run(&["apply"]).expect(2).hints("`setup` writes");
    let units = ["systemd-units", "--config"];
    let own = trial.join("config.json");
    theirs
        .run(&[&units[..], &[own.to_str().unwrap()]].concat())
        .expect(4)
        .hints(" setup --config ");
    let setup = ["setup", "--config", own.to_str().unwrap()];
    theirs.run(&setup).expect(4).hints("setup --config ");
}

#[test]
fn without_a_folder_the_first_of_the_users_own_is_tried() {
    let theirs = Theirs::new();
    theirs
        .run(&["try"])
        .expect(0)
        .says(&theirs.lab.text("user/Documents"));
}

#[test]
fn a_users_backup_is_in_the_users_folders() {
    let theirs = Theirs::new();
    let lab = &theirs.lab;
    let config = lab.path("user/.config/backup/config.json");
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    fs::copy(lab.path("config.json"), &config).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o644)).unwrap();
    // What a user may read and cannot give away.
    let setgid = fs::Permissions::from_mode(0o2755);
    fs::set_permissions(lab.path("home/ann"), setgid).unwrap();
    if theirs.is_root {
        chown(lab.path("home/ann"), Some(0), Some(0)).unwrap();
        chown(lab.path("home/ann/letter.txt"), Some(1234), Some(5678)).unwrap();
    }
    theirs.run(&["apply", "--now", FIRST]).expect(0);
    assert_eq!(lab.ids(), [id_of(FIRST)]);
    theirs.run(&["verify"]).expect(0).says("Whole.");
    let state = lab.path("user/.local/state/backup");
    assert_eq!(entry_names(&state.join("runs")).len(), 1);
    assert_eq!(
        entry_names(&state.join("log")),
        ["backup-coordinator.log", "backup-local.log"]
    );
    let mode = fs::metadata(&state).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o700);
    // That a user may not give files away is no gap of the file system.
    let can = read_json(&lab.stored(".backup/destination.json"))["capabilities"].take();
    assert_eq!(
        (&can["owners"], &can["tried_as_root"]),
        (&false.into(), &false.into())
    );
    let plan = theirs.run(&["plan", "--now", "2025-03-06T02:00:00+01:00"]);
    let told = plan.expect(0).stdout;
    assert!(
        !told.contains("owners") && !told.contains("devices"),
        "{told}"
    );
}

#[test]
fn a_user_reports_on_own_backups_and_of_those_of_root_is_told_who_may() {
    let theirs = Theirs::new();
    let lab = &theirs.lab;
    let config = lab.text("config.json");
    let page = lab.path("user/page.html");
    let report = [
        "report",
        "--config",
        &config,
        "--html",
        page.to_str().unwrap(),
    ];
    theirs.run(&["apply", "--config", &config]).expect(0);
    theirs.run(&report).expect(0);
    let found = fs::metadata(&page).unwrap();
    assert_eq!(found.mode() & 0o7777, 0o600);
    let written = fs::read(&page).unwrap();
    if !theirs.is_root {
        return;
    }
    assert_eq!(found.uid(), NOBODY);
    let closed = lab.stored(".backup");
    chown(&closed, Some(0), Some(0)).unwrap();
    let mode = fs::Permissions::from_mode(0o700);
    fs::set_permissions(&closed, mode).unwrap();
    theirs.run(&report).expect(4).hints("sudo");
    assert_eq!(fs::read(&page).unwrap(), written);
}

#[test]
fn a_user_who_compares_with_now_is_told_of_no_owner_that_is_none() {
    let theirs = Theirs::new();
    let Theirs { lab, .. } = &theirs;
    let words = |words: &[&'static str]| {
        let mut all: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        all.extend(["--config".to_owned(), lab.text("config.json")]);
        all
    };
    let run = |all: &[&'static str]| {
        let all = words(all);
        theirs.run(&all.iter().map(String::as_str).collect::<Vec<_>>())
    };
    run(&["apply"]).expect(0);
    let same = run(&["diff", "latest", "now"]).expect(0);
    assert!(same.stdout.contains("nothing differs"), "{same}");
    // What differs is told: the letter was closed to its own group.
    let closed = fs::Permissions::from_mode(0o600);
    fs::set_permissions(lab.path("home/ann/letter.txt"), closed).unwrap();
    let told = run(&["diff", "latest", "now"]).expect(0);
    assert!(told.stdout.contains("1 with other metadata"), "{told}");
}

#[test]
fn what_a_user_may_not_read_is_listed_and_makes_the_run_incomplete() {
    let theirs = Theirs::new();
    let lab = &theirs.lab;
    let odd = lab.path("home").join(OsStr::from_bytes(b"odd \xff name\n"));
    fs::write(&odd, "x").unwrap();
    for closed in ["home/ann/letter.txt", "home/bob/notes"].map(|name| lab.path(name)) {
        fs::set_permissions(closed, fs::Permissions::from_mode(0o000)).unwrap();
    }
    fs::set_permissions(&odd, fs::Permissions::from_mode(0o000)).unwrap();
    let command = |arguments: &[&str]| {
        let mut command = theirs.command(arguments);
        command.arg("--config").arg(lab.path("config.json"));
        run_command(command, arguments)
    };
    let report = command(&["apply", "--json", "--now", FIRST])
        .expect(3)
        .json();
    let problems = crate::lab::step_outcome(&report, "snapshot")["problems"]
        .as_array()
        .unwrap();
    let paths: Vec<&str> = problems
        .iter()
        .map(|problem| problem["path"].as_str().unwrap())
        .collect();
    for closed in ["home/ann/letter.txt", "home/bob/notes"] {
        let there = paths.iter().any(|path| path.ends_with(closed));
        assert!(there, "{closed} is not in {paths:?}");
    }
    assert!(lab.inside("latest", "home/ann/photo.jpg").exists());
    let test = "what_a_user_may_not_read_is_listed";
    if let Some(read) = read_by_format_page(test, "destination", &lab.stored("")) {
        let read = read.expect(0).json();
        let listed = read["snapshots"][id_of(FIRST)]["problems"]
            .as_array()
            .unwrap();
        assert!(listed.contains(&as_hex(&odd).into()), "{read:#}");
    }
    if let Some(read) = check_with_example(test, &lab.stored(""), None) {
        read.expect(1).says("letter.txt: unreadable");
    }
    command(&["verify"]).expect(0).says("Whole.");
    command(&["apply", "--now", "2025-03-06T02:00:00+01:00"])
        .expect(3)
        .says("letter.txt");
}

#[test]
fn a_state_directory_of_someone_else_is_refused_with_what_to_do() {
    let theirs = Theirs::new();
    let lab = &theirs.lab;
    fs::create_dir(lab.path("closed")).unwrap();
    let none = fs::Permissions::from_mode(0o000);
    fs::set_permissions(lab.path("closed"), none).unwrap();
    let mut command = theirs.command(&["apply", "--now", FIRST]);
    command
        .arg("--config")
        .arg(lab.path("config.json"))
        .arg("--state-dir")
        .arg(lab.path("closed/state"));
    let told = run_command(command, &["apply"]);
    assert_ne!(told.code, 0);
    told.says(&lab.text("closed")).hints("--state-dir");
    assert_eq!(entry_names(&lab.path("mnt")), [""; 0]);
}
