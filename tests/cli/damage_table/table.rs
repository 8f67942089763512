//! A backup that is brought back before each fault, and all that is tried after one.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::Path,
    process::Command,
};

use crate::{
    damage::{VICTIM, copy},
    lab::{Lab, PROGRAM, Ran, entry_names, id_of, run_command},
    manifests::Fault,
};

/// Who owns nothing on any system.
const NOBODY: u32 = 65534;
/// Nights with a snapshot.
const NIGHTS: [u32; 3] = [5, 6, 7];
const DAMAGED: u32 = 8;
const LAST: u32 = 9;

/// Every how manieth is tried, so that over the files each fault has its turn.
const THIRD: usize = 3;

pub(super) fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub(super) fn night(day: u32) -> String {
    format!("2025-03-{day:02}T02:00:00+01:00")
}

fn text(day: u32) -> String {
    format!("dear all, it is day {day}\n")
}

/// Whether every verb meets every fault.
fn all_of_them() -> bool {
    std::env::var("KILLS").is_ok_and(|kills| kills.parse::<u32>().unwrap() >= 200)
}

/// Whether what is offered at this place has its turn.
pub(crate) fn has_turn(offered: usize) -> bool {
    all_of_them() || offered.is_multiple_of(THIRD)
}

/// What shows and changes nothing, and what a verb is called with; `NOW` is the night after.
const VERBS: [&str; 11] = [
    "plan --now NOW",
    "status --now NOW",
    "list --now NOW",
    "health --quick --now NOW",
    "find letter.txt",
    "diff latest~1 latest",
    "verify --quick",
    "verify --all --quick",
    "prune --dry-run --now NOW",
    "restore latest~1 LETTER old",
    "check",
];

/// A lab that is brought back before each fault.
pub(super) struct Table {
    pub(super) lab: Lab,
    /// Whether an ordinary user runs the program.
    pub(super) user: bool,
    turn: usize,
    /// Faults that were met, and those that had their turn.
    tried: usize,
    pub(super) offered: usize,
}

impl Table {
    pub(super) fn new(engine: bool, user: bool) -> Self {
        let mut lab = Lab::new();
        lab.set("local.useRsync", engine);
        lab.set("local.keepLast", 3);
        fs::create_dir(lab.path("user")).unwrap();
        // The build folder may be closed to others.
        fs::copy(PROGRAM, lab.path("backup")).unwrap();
        let table = Self {
            lab,
            user: user && nix::unistd::geteuid().is_root(),
            turn: 0,
            tried: 0,
            offered: 0,
        };
        if table.user {
            mode(&table.lab.path(""), 0o755);
        }
        for day in NIGHTS {
            table.letter(day);
            table.own();
            table.run(&["apply", "--now", &night(day)]).expect(0);
        }
        table.run(&["pin", &id_of(&night(6))]).expect(0);
        table.run(&["verify"]).expect(0);
        table.run(&["health", "--quick"]);
        for name in ["mnt", "state"] {
            copy(
                &table.lab.path(name),
                &table.lab.path(format!("kept.{name}")),
            );
        }
        table
    }

    fn letter(&self, day: u32) {
        self.lab.write(VICTIM, &text(day));
    }

    /// Gives the user all that is there.
    fn own(&self) {
        if !self.user {
            return;
        }
        for entry in walkdir::WalkDir::new(self.lab.path("")) {
            let entry = entry.unwrap();
            if !entry.path_is_symlink() {
                chown(entry.path(), Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
    }

    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = self.lab.bare(program);
        if self.user {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let with_paths = self.lab.command(arguments);
        let mut command = self.command(self.lab.path("backup"));
        command.args(with_paths.get_args());
        let ran = run_command(command, arguments);
        self.lab.in_short_of(&self.lab.path("backup"), ran)
    }

    fn bring_back(&self) {
        for name in entry_names(&self.lab.path("")) {
            let path = self.lab.path(&name);
            if [
                "backup",
                "config.json",
                "home",
                "user",
                "kept.mnt",
                "kept.state",
            ]
            .contains(&name.as_str())
            {
                continue;
            }
            let removed = Command::new("rm").arg("-rf").arg(&path).status();
            assert!(removed.unwrap().success());
        }
        for name in ["mnt", "state"] {
            copy(&self.lab.path(format!("kept.{name}")), &self.lab.path(name));
        }
    }

    /// The snapshots that stand anywhere, each with its letter.
    fn letters(&self) -> Vec<(String, String)> {
        let letter = self.lab.path(VICTIM);
        let letter = letter.strip_prefix("/").unwrap();
        let all = walkdir::WalkDir::new(self.lab.path("")).max_depth(5);
        let mut found: Vec<_> = all
            .into_iter()
            .filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_dir())
            .filter(|entry| !entry.path().starts_with(self.lab.path("kept.mnt")))
            .filter_map(|entry| {
                let id = entry.file_name().to_str()?.to_owned();
                let text = fs::read_to_string(entry.path().join(letter)).ok()?;
                id.starts_with("2025-03-").then_some((id, text))
            })
            .collect();
        found.sort();
        found
    }

    /// Whether a snapshot of this day stands in a tier, whole.
    fn has(&self, day: u32) -> bool {
        let id = format!("2025-03-{day:02}_");
        let tiers = ["hourly", "daily", "weekly", "monthly", "yearly"];
        let in_tiers = tiers.iter().flat_map(|tier| {
            let at = self.lab.stored(tier);
            let names = if at.is_symlink() {
                Vec::new()
            } else {
                names_of(&at)
            };
            names.into_iter().map(move |name| format!("{tier}/{name}"))
        });
        let mut in_tiers = in_tiers.filter(|at| at.contains(&id));
        in_tiers.any(|at| {
            let letter = self.lab.inside(&at, VICTIM);
            fs::read_to_string(letter).is_ok_and(|found| found == text(day))
        })
    }

    /// One fault, and all that follows.
    pub(super) fn meets(&mut self, at: &str, (fault, act): Fault) {
        self.offered += 1;
        if !has_turn(self.offered) {
            return;
        }
        let what = format!("{at}, {fault}");
        let path = self.lab.path(at);
        self.bring_back();
        self.own();
        act(&path);
        self.tried += 1;

        self.meet_verbs(&what);
        let letter = self.lab.text(VICTIM);
        let done = self.run(&["restore", "latest", &letter, "new"]);
        no_crash(&done, &what);
        if done.code == 0 {
            let back = fs::read_to_string(self.lab.path("new")).unwrap();
            let told = done.all().contains("newer");
            assert!(back == text(7) || told, "{what}: {back} {done}");
        }

        self.letter(DAMAGED);
        let before = self.letters();
        let mut day = DAMAGED;
        let mut done = self.run(&["apply", "--now", &night(day)]);
        no_crash(&done, &what);
        if ![0, 3].contains(&done.code) {
            let ends_it = command_of(&done).unwrap_or_else(|| panic!("{what}: {done}"));
            self.follow(&ends_it, &what);
            day = LAST;
            self.letter(day);
            done = self.run(&["apply", "--now", &night(day)]);
            assert!([0, 3].contains(&done.code), "{what}, {ends_it}: {done}");
        }
        assert!(self.has(day), "{what}: {done}");
        let after = self.letters();
        let lost: Vec<_> = before.iter().filter(|one| !after.contains(one)).collect();
        assert!(lost.is_empty(), "{what}: {lost:?}");

        // The night after is as any, but for what only a person can put right.
        self.letter(10);
        let done = self.run(&["apply", "--now", &night(10)]);
        no_crash(&done, &what);
        assert!(
            [0, 3].contains(&done.code) && self.has(10),
            "{what}: {done}"
        );
        let done = self.run(&["restore", "latest", &letter, "after"]);
        assert_eq!(done.code, 0, "{what}: {done}");
        let back = fs::read_to_string(self.lab.path("after")).unwrap();
        assert_eq!(back, text(10), "{what}: {done}");
    }

    /// A fourth of the verbs, or all of them.
    fn meet_verbs(&mut self, what: &str) {
        self.turn += 1;
        let turn = self.turn;
        let verbs = VERBS.iter().enumerate();
        for (_, verb) in verbs.filter(|(number, _)| all_of_them() || number % 4 == turn % 4) {
            let letter = self.lab.text(VICTIM);
            let now = night(DAMAGED);
            let words: Vec<&str> = verb
                .split(' ')
                .map(|word| match word {
                    "NOW" => &now,
                    "LETTER" => &letter,
                    word => word,
                })
                .collect();
            let done = self.run(&words);
            no_crash(&done, what);
            if words[0] == "restore" && done.code == 0 {
                let back = fs::read_to_string(self.lab.path("old")).unwrap();
                assert!(
                    back == text(6) || done.all().contains("newer"),
                    "{what}: {done}"
                );
            }
        }
    }

    /// Does what a message says.
    fn follow(&self, command: &str, what: &str) {
        let words: Vec<&str> = command.split(' ').collect();
        let done = match words[0] {
            "backup" => self.run(&words[1..]),
            tool => {
                // As a shell would have it.
                let mut shell = self.command("/bin/sh");
                shell.args(["-c", command]);
                assert!(["chmod", "mv"].contains(&tool), "{what}: {command}");
                run_command(shell, &words)
            }
        };
        assert_eq!(done.code, 0, "{what}: {command}: {done}");
    }

    pub(super) fn ended(&self, at_least: usize) {
        assert!(self.offered >= at_least, "{}", self.offered);
        assert!(self.tried >= at_least / THIRD, "{}", self.tried);
    }
}

fn names_of(folder: &Path) -> Vec<String> {
    let all = fs::read_dir(folder).into_iter().flatten();
    let names = all.filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    names.collect()
}

/// Ends the test at a panic, a signal, and at a failure that says nothing of what to do.
#[track_caller]
fn no_crash(done: &Ran, what: &str) {
    let documented = [0, 1, 2, 3, 4, 75].contains(&done.code);
    let said = done.code == 0 || done.code == 3 || done.all().contains("hint:");
    let panicked = done.all().contains("panicked");
    assert!(documented && said && !panicked, "{what}: {done}");
}

/// The first command that a message names.
fn command_of(done: &Ran) -> Option<String> {
    let all = done.all();
    let folded: Vec<&str> = all.split_whitespace().collect();
    let folded = folded.join(" ");
    let quoted = folded.split('`').skip(1).step_by(2);
    let mut commands = quoted.filter(|one| {
        let first = one.split(' ').next().unwrap_or_default();
        ["backup", "mv", "chmod"].contains(&first)
    });
    commands.next().map(str::to_owned)
}
