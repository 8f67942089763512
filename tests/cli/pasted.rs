//! Commands in hints can be pasted into a shell as they stand, where they are printed, and do what the hint
//! says: in a lab whose path has a blank and a quote, with a configuration that is not the usual one.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::Path,
};

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use crate::lab::{Lab, PROGRAM, Ran, id_of, run_command};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";
const THIRD: &str = "2025-03-07T02:00:00+01:00";

/// A lab at a path that a shell does not take as it is.
fn odd_lab() -> Lab {
    Lab::in_folder(TempDir::with_prefix("it's a lab.").unwrap())
}

/// What the program says, with the commands as they are printed.
#[track_caller]
fn said(lab: &Lab, words: &[&str], code: i32) -> Ran {
    run_command(lab.command(words), words).expect(code)
}

/// The commands in a text: what stands in backticks, in one line each.
fn commands(ran: &Ran) -> Vec<String> {
    let lines = ran.stdout.lines().chain(ran.stderr.lines());
    lines
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

/// The command in a text that does this, such as `verify`.
#[track_caller]
fn command_with(ran: &Ran, words: &str) -> String {
    let all = commands(ran);
    let mut found = all.iter().filter(|command| command.contains(words));
    let one = found.next();
    one.unwrap_or_else(|| panic!("no command with `{words}` in {ran}\n{all:?}"))
        .clone()
}

/// Runs a command as a person does who pastes it.
#[track_caller]
fn paste(lab: &Lab, command: &str) -> Ran {
    let mut shell = lab.bare("sh");
    shell.args(["-c", command]);
    let ran = run_command(shell, &[command]);
    assert_ne!(ran.code, 2, "it is not accepted: {ran}");
    ran
}

#[test]
fn an_unknown_name_leads_to_the_list() {
    let lab = odd_lab();
    lab.backup(FIRST);
    for verb in ["delete", "pin", "verify"] {
        let refused = said(&lab, &[verb, "2020"], 4);
        let listed = paste(&lab, &command_with(&refused, " list")).expect(0);
        assert!(listed.stdout.contains(&id_of(FIRST)), "{listed}");
    }
}

#[test]
fn another_disk_is_added_by_the_command_of_the_refusal() {
    let lab = odd_lab();
    lab.backup(FIRST);
    fs::rename(lab.path("mnt"), lab.path("old")).unwrap();
    fs::create_dir(lab.path("mnt")).unwrap();
    let refused = said(&lab, &["apply"], 4);
    paste(&lab, &command_with(&refused, " init")).expect(0);
    said(&lab, &["apply"], 0);
}

#[test]
fn the_backups_of_an_old_name_are_taken_over_by_the_command_of_the_refusal() {
    let mut lab = odd_lab();
    lab.backup(FIRST);
    lab.set("hostname", "newelm");
    let refused = said(&lab, &["apply"], 4);
    paste(&lab, &command_with(&refused, " init --take-over")).expect(0);
    assert!(lab.path("mnt/newelm/latest").exists());
}

#[test]
fn damage_is_healed_by_the_command_of_the_comparison() {
    let lab = odd_lab();
    lab.backup(FIRST);
    let damage = |id: &str| {
        let file = lab.inside(&format!("daily/{id}"), "home/bob/notes/list.md");
        fs::write(file, "- silk\n").unwrap();
    };
    lab.write("home/bob/notes/list.md", "- milk and honey\n");
    lab.backup(SECOND);
    damage(&id_of(SECOND));
    // As it was called: of the latest, of one by its id and of all.
    for words in [&["verify"][..], &["verify", "--all"]] {
        let found = said(&lab, words, 3);
        paste(&lab, &command_with(&found, " --repair")).expect(0);
        said(&lab, words, 0);
        damage(&id_of(SECOND));
    }
    // As a later look says it.
    said(&lab, &["verify"], 3);
    let status = said(&lab, &["status"], 0);
    paste(&lab, &command_with(&status, " --repair")).expect(0);
    said(&lab, &["verify", "--all"], 0);
}

#[test]
fn a_suspect_snapshot_is_accepted_by_the_command_of_the_status() {
    let lab = odd_lab();
    for number in 0..40 {
        lab.write(&format!("home/many/{number}"), "x");
    }
    lab.backup(FIRST);
    fs::remove_dir_all(lab.path("home/many")).unwrap();
    said(&lab, &["apply", "--now", SECOND], 3);
    let status = said(&lab, &["status", "--now", THIRD], 0);
    paste(&lab, &command_with(&status, " accept ")).expect(0);
    let marks = lab.path(format!(
        "mnt/atlas/.backup/snapshots/{}/marks.json",
        id_of(SECOND)
    ));
    assert!(fs::read_to_string(marks).unwrap().contains("accepted"));
}

#[test]
fn a_full_disk_leads_to_what_can_be_deleted_and_that_to_the_deletion() {
    let mut lab = odd_lab();
    for (now, text) in [(FIRST, "one"), (SECOND, "two"), (THIRD, "three")] {
        lab.write("home/changes", text);
        lab.backup(now);
    }
    lab.set("local.minSpaceGB", 1_u64 << 20);
    let refused = said(&lab, &["apply", "--now", "2025-03-08T02:00:00+01:00"], 4);
    let deletes = command_with(&refused, " delete ");
    // Nobody is asked here, and the answer is a command again.
    let unasked = paste(&lab, &deletes).expect(4);
    let id = id_of(FIRST);
    assert!(
        lab.ids().contains(&id) && deletes.contains(&id),
        "{deletes}"
    );
    assert!(unasked.all().contains(&id), "{unasked}");
    paste(&lab, &command_with(&unasked, " --yes")).expect(0);
    assert!(!lab.ids().contains(&id));
}

#[test]
fn a_run_that_is_at_work_is_shown_by_the_command_of_the_refusal() {
    let lab = odd_lab();
    lab.backup(FIRST);
    let lock = File::open(lab.path("state/lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let busy = said(&lab, &["apply"], 75);
    paste(&lab, &command_with(&busy, " status")).says("a backup is running");
}

#[test]
fn what_is_in_the_way_of_a_restore_goes_aside_by_the_command_of_the_refusal() {
    let lab = odd_lab();
    lab.backup(FIRST);
    let (letter, target) = (lab.text("home/ann/letter.txt"), lab.text("it's back"));
    lab.write("it's back", "something else");
    let refused = said(&lab, &["restore", "latest", &letter, &target], 4);
    paste(&lab, &command_with(&refused, " --overwrite")).expect(0);
    assert_eq!(fs::read_to_string(&target).unwrap(), "dear all\n");
    // In place a person is asked.
    lab.write("home/ann/letter.txt", "changed");
    let unasked = said(&lab, &["restore", "latest", &letter, "--in-place"], 4);
    paste(&lab, &command_with(&unasked, " --yes")).expect(0);
    assert_eq!(fs::read_to_string(&letter).unwrap(), "dear all\n");
    // What `find` says is a line to be pasted, too.
    let found = said(&lab, &["find", "letter.txt"], 0);
    let line = found
        .stderr
        .lines()
        .find_map(|line| line.strip_prefix("hint: "));
    paste(&lab, line.unwrap()).expect(0);
    assert!(lab.path("letter.txt.restored").exists());
}

#[test]
fn a_saved_plan_is_run_by_the_line_that_says_so() {
    let lab = odd_lab();
    let plan = lab.text("it's a plan.json");
    let saved = said(&lab, &["plan", "--out", &plan], 0);
    let line = saved
        .stderr
        .lines()
        .find_map(|line| line.split_once("with: "));
    paste(&lab, line.unwrap().1).expect(0);
    assert_eq!(lab.ids().len(), 1);
}

#[test]
fn the_program_is_named_as_it_was_called() {
    let lab = odd_lab();
    lab.backup(FIRST);
    fs::create_dir(lab.path("bin")).unwrap();
    symlink(PROGRAM, lab.path("bin/backup")).unwrap();
    symlink(PROGRAM, lab.path("bin/backup-status")).unwrap();
    let begins = |program: &str, in_path: bool, words: &[&str]| {
        let mut command = lab.bare("sh");
        if in_path {
            let path = std::env::var("PATH").unwrap();
            command.env("PATH", format!("{}:{path}", lab.text("bin")));
        }
        command.args(["-c", "exec \"$0\" \"$@\"", program]);
        command.args(lab.words(words));
        let ran = run_command(command, words);
        let command = command_with(&ran, " --config ");
        command.split(' ').next().unwrap().to_owned()
    };
    assert_eq!(begins("backup", true, &["pin", "2020"]), "backup");
    assert_eq!(
        begins("./bin/backup", false, &["pin", "2020"]),
        "./bin/backup"
    );
    // By its whole path, and found by its name all the same.
    assert_eq!(begins(PROGRAM, true, &["pin", "2020"]), "backup");
    assert_eq!(begins(PROGRAM, false, &["pin", "2020"]), PROGRAM);
    // A program of another name is one verb of it.
    fs::remove_dir_all(lab.path("mnt/atlas")).unwrap();
    let real = Path::new(PROGRAM).canonicalize().unwrap();
    let real = real.to_str().unwrap();
    assert_eq!(begins("./bin/backup-status", false, &[]), real);
    assert_eq!(begins("backup-status", true, &[]), "backup");
}

#[test]
fn a_report_in_a_terminal_says_what_to_do_as_it_is_typed() {
    let lab = odd_lab();
    let told = said(&lab, &["report"], 0);
    paste(&lab, &command_with(&told, " now")).expect(0);
    said(&lab, &["report"], 0).says("all is well");
}
