//! What a shell is told when somebody presses TAB where a snapshot belongs, or a path in one: asked as the
//! scripts ask, and by real shells.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::symlink,
    path::Path,
    process::Stdio,
};

use serde_json::json;

use crate::lab::{
    Lab, PROGRAM, Ran, everything_below, id_of, is_installed, run_command, skip, wait_for,
    wait_for_child,
};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";
const THIRD: &str = "2025-03-07T02:00:00+01:00";

/// A lab with three snapshots, the first of them pinned.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.backup(FIRST);
    lab.run(&["pin", &id_of(FIRST)]).expect(0);
    lab.backup(SECOND);
    lab.write("home/ann/letter two.txt", "dear all, again\n");
    lab.backup(THIRD);
    lab
}

/// Asks what belongs behind these words, of which the last is at the cursor.
#[track_caller]
fn ask(lab: &Lab, words: &[&str]) -> Ran {
    let (program, words) = words.split_first().unwrap();
    let mut command = lab.command(&["__complete", program]);
    command.args(words);
    let asked = run_command(command, words).expect(0);
    assert_eq!(asked.stderr, "", "{asked}");
    asked
}

/// The words of the answer, without what is said of them.
#[track_caller]
fn offered(lab: &Lab, words: &[&str]) -> Vec<String> {
    let asked = ask(lab, words);
    let lines = asked.stdout.lines();
    let word = |line: &str| line.split('\t').next().unwrap().to_owned();
    lines.map(word).collect()
}

#[test]
fn each_verb_is_offered_the_snapshots_that_it_can_work_on() {
    let lab = lab();
    let [first, second, third] = [FIRST, SECOND, THIRD].map(id_of);
    let all = ["latest", "latest~1", &third, &second, &first];
    for verb in ["restore", "verify", "drill", "diff"] {
        assert_eq!(offered(&lab, &["backup", verb, ""]), all, "{verb}");
    }
    assert_eq!(offered(&lab, &["backup-restore", "2025-03-06"]), [&*second]);
    assert_eq!(
        offered(&lab, &["/x/backup-verify", "2025-03-06"]),
        [&*second]
    );
    let now = [&["now"][..], &all].concat();
    assert_eq!(offered(&lab, &["backup", "diff", "latest", ""]), now);
    assert_eq!(
        offered(&lab, &["backup", "pin", ""]),
        ["latest", &third, &second]
    );
    assert_eq!(offered(&lab, &["backup", "unpin", ""]), [&*first]);
    assert!(offered(&lab, &["backup", "accept", ""]).is_empty());
    assert_eq!(offered(&lab, &["backup", "delete", ""]), [&*second]);
    assert!(offered(&lab, &["backup", "delete", &second, ""]).is_empty());
    let in_tier = offered(&lab, &["backup", "restore", "daily/2025-03-06"]);
    assert_eq!(in_tier, [format!("daily/{second}")]);
    let told = ask(&lab, &["backup", "restore", "2025-03-05"]).stdout;
    assert!(
        told.contains("\tdaily") && told.contains("pinned\n"),
        "{told}"
    );
    // One that lost most of its files is what `accept` is for.
    for at in 0..40 {
        lab.write(&format!("home/ann/{at}"), "x");
    }
    lab.backup("2025-03-08T02:00:00+01:00");
    for at in 0..40 {
        fs::remove_file(lab.path(format!("home/ann/{at}"))).unwrap();
    }
    let suspect = "2025-03-09T02:00:00+01:00";
    lab.at(suspect, &["apply"]).expect(3);
    assert_eq!(offered(&lab, &["backup", "accept", ""]), [id_of(suspect)]);
}

#[test]
fn paths_in_a_snapshot_are_offered_also_those_that_are_gone() {
    let lab = lab();
    fs::remove_dir_all(lab.path("home/ann")).unwrap();
    let ann = lab.text("home/ann/");
    let paths = offered(&lab, &["backup", "restore", "latest", &ann]);
    let there = ["letter two.txt", "letter.txt", "photo.jpg"].map(|name| format!("{ann}{name}"));
    assert_eq!(paths, there);
    let begun = format!("{ann}p");
    assert_eq!(
        offered(&lab, &["backup", "diff", "latest~1", "latest", &begun]),
        there[2..]
    );
    let home = lab.text("home/");
    let folders = [format!("{home}ann/"), format!("{home}bob/")];
    assert_eq!(
        offered(&lab, &["backup", "restore", "latest", &home]),
        folders
    );
    // Of the folder that the user stands in, as it is typed.
    let line = ["__complete", "backup", "restore", "--in-place", "latest"];
    let mut command = lab.command(&line);
    command.arg("ann/letter").current_dir(lab.path("home"));
    let told = run_command(command, &line).expect(0).stdout;
    assert_eq!(told, "ann/letter two.txt\t\nann/letter.txt\t\n");
    // The target of a restore is no path in it.
    let target = offered(&lab, &["backup", "restore", "latest", &home, &home]);
    assert!(target.is_empty());
}

#[test]
fn whatever_is_wrong_nothing_is_said_and_nothing_is_written() {
    let mut lab = lab();
    fs::remove_dir_all(lab.path("state/record-index")).unwrap_or_default();
    let before = everything_below(&lab.path(""));
    // Both locks are somebody else's.
    let locks = [lab.stored(".backup/lock"), lab.path("state/lock")];
    let locks = locks.map(|path| File::options().write(true).open(path).unwrap());
    locks.iter().for_each(|lock| lock.lock().unwrap());
    let ids = offered(&lab, &["backup", "restore", "2"]);
    assert_eq!(ids.len(), 3);
    offered(&lab, &["backup", "restore", "latest", "/"]);
    offered(&lab, &["backup", "init", "--take-over", ""]);
    drop(locks);
    assert_eq!(everything_below(&lab.path("")), before);

    for words in [
        &["backup", ""][..],
        &["backup", "frobnicate", ""],
        &["backup", "restore", "nothing", "/"],
        &["backup", "restore", "latest", "/nowhere/"],
        &["backup", "restore", "\u{1b}[31m"],
    ] {
        assert!(offered(&lab, words).is_empty(), "{words:?}");
    }
    let silent = |arguments: &[&str]| {
        let mut command = lab.bare(PROGRAM);
        command.args(arguments);
        let asked = run_command(command, arguments).expect(0);
        assert_eq!((&*asked.stdout, &*asked.stderr), ("", ""), "{arguments:?}");
    };
    silent(&["__complete"]);
    silent(&["__complete", "--line"]);
    silent(&["__complete", "--line", "backup restore "]);
    let none = lab.text("none.json");
    silent(&["__complete", "backup", "restore", "--config", &none, ""]);
    lab.write("broken.json", "{");
    let broken = lab.text("broken.json");
    silent(&["__complete", "backup", "restore", "--config", &broken, ""]);
    // Who is root does not believe what others may write.
    lab.set("local.mountPoint", json!("/nowhere/at/all"));
    assert!(offered(&lab, &["backup", "restore", ""]).is_empty());
    lab.set("local.mountPoint", json!(lab.path("mnt")));
    lab.set("local.requireMount", true);
    assert!(offered(&lab, &["backup", "restore", ""]).is_empty());
}

#[test]
fn folders_of_other_hosts_are_offered_to_take_over() {
    let mut lab = lab();
    lab.set("hostname", "titan");
    let hosts = offered(&lab, &["backup", "init", "--take-over", ""]);
    assert_eq!(hosts, ["atlas"]);
    let hosts = offered(&lab, &["backup", "init", "--take-over=a"]);
    assert_eq!(hosts, ["--take-over=atlas"]);
}

#[test]
fn the_question_is_in_no_help() {
    let lab = Lab::new();
    for arguments in [
        &["--help"][..],
        &["help"],
        &["man"],
        &["completions", "fish"],
    ] {
        let mut command = lab.bare(PROGRAM);
        command.args(arguments);
        let shown = run_command(command, arguments).expect(0).stdout;
        let mut lines = shown.lines();
        // The script itself asks it.
        let is_help = |line: &&str| line.contains("__complete") && !line.contains("$program");
        let found = lines.find(|line| is_help(line) && !line.contains("__complete_d"));
        assert_eq!(found, None, "{arguments:?}");
    }
}

/// A lab whose program is on the path under all its names, with the script of a shell in `script`.
fn shell_lab(shell: &str) -> Option<Lab> {
    for tool in [shell, "script"] {
        if !is_installed(tool) {
            skip(&format!("{shell} presses TAB because there is no {tool}"));
            return None;
        }
    }
    let lab = lab();
    fs::create_dir(lab.path("bin")).unwrap();
    for name in ["backup", "backup-restore", "backup-verify"] {
        symlink(PROGRAM, lab.path("bin").join(name)).unwrap();
    }
    let mut command = lab.bare(PROGRAM);
    command.args(["completions", shell]);
    let script = run_command(command, &["completions"]).expect(0).stdout;
    lab.write("script", &script);
    Some(lab)
}

/// Presses keys in a shell on a terminal of its own, and gives what is on its line each time that
/// CONTROL-T was pressed, which `begin` makes print that between `=<` and `>=`.
fn press(lab: &Lab, shell: &str, begin: &str, keys: &[String]) -> Vec<String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let said = lab.path("said");
    let mut command = lab.bare("script");
    command
        .args(["--quiet", "--return", "--command", shell, "/dev/null"])
        .env("PATH", format!("{}:{path}", lab.text("bin")))
        .env("TERM", "dumb")
        .env("BACKUP_CONFIG", lab.path("config.json"))
        .stdin(Stdio::piped())
        .stdout(File::create(&said).unwrap());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let read = || String::from_utf8_lossy(&fs::read(&said).unwrap()).into_owned();
    // What is typed before the shell reads it is no key to it.
    writeln!(stdin, "{begin}; echo RE''ADY").unwrap();
    wait_for("the shell", || read().contains("READY"));
    // The line that makes it print them shows a mark as well.
    let marked = || -> Vec<String> {
        let shown = read();
        let marked = shown.split("=<").skip(1);
        let marked = marked.filter_map(|rest| Some(rest.split_once(">=")?.0.to_owned()));
        marked.filter(|line| !line.contains('$')).collect()
    };
    for (at, keys) in keys.iter().enumerate() {
        // CONTROL-T shows the line, CONTROL-U empties it.
        write!(stdin, "{keys}\x14").unwrap();
        wait_for("the line", || marked().len() > at);
        write!(stdin, "\x15").unwrap();
    }
    writeln!(stdin, "exit").unwrap();
    let ended = wait_for_child(child, &[shell]);
    assert_eq!(ended.stderr, "", "{ended}");
    marked()
}

/// What is typed, with TAB at its end, and what is on the line then.
fn pressed_and_expected(lab: &Lab) -> Vec<(String, String)> {
    let [first, second, _] = [FIRST, SECOND, THIRD].map(id_of);
    let config = lab.text("config.json");
    let letter = lab.text("home/ann/letter");
    let cases = [
        (
            "backup restore 2025-03-06\t",
            format!("backup restore {second} "),
        ),
        (
            "backup-restore 2025-03-05\t",
            format!("backup-restore {first} "),
        ),
        (
            "backup verify --quick 2025-03-06\t",
            format!("backup verify --quick {second} "),
        ),
        ("backup unpin \t", format!("backup unpin {first} ")),
        (
            "backup diff latest no\t",
            "backup diff latest now ".to_owned(),
        ),
        ("backup heal\t", "backup health ".to_owned()),
        (
            "backup restore --overw\t",
            "backup restore --overwrite ".to_owned(),
        ),
    ];
    let cases = cases.map(|(keys, line)| (keys.to_owned(), line));
    let more = [
        (
            format!("backup --config {config} unpin \t"),
            format!("backup --config {config} unpin {first} "),
        ),
        (
            format!("backup --config={config} unpin \t"),
            format!("backup --config={config} unpin {first} "),
        ),
        (
            format!("backup restore latest {letter}\\ \t"),
            format!("backup restore latest {letter}\\ two.txt "),
        ),
    ];
    cases.into_iter().chain(more).collect()
}

#[test]
fn tab_in_bash_gives_the_snapshot() {
    let Some(lab) = shell_lab("bash") else { return };
    let begin = format!(
        "bind 'set bell-style none'; bind 'set enable-bracketed-paste off'; source '{}'; \
         bind -x '\"\\C-t\": echo \"=<$READLINE_LINE>=\"'",
        lab.text("script")
    );
    let (keys, expected): (Vec<_>, Vec<_>) = pressed_and_expected(&lab).into_iter().unzip();
    let shown = press(&lab, "bash --norc --noprofile -i", &begin, &keys);
    assert_eq!(shown, expected);
}

#[test]
fn tab_in_zsh_gives_the_snapshot() {
    let Some(lab) = shell_lab("zsh") else { return };
    let begin = format!(
        "unsetopt beep; autoload -Uz compinit; compinit -u -D; source '{}'; \
         show() {{ print -r -- \"=<$BUFFER>=\" }}; zle -N show; bindkey '^T' show",
        lab.text("script")
    );
    let (keys, expected): (Vec<_>, Vec<_>) = pressed_and_expected(&lab).into_iter().unzip();
    let shown = press(&lab, "zsh -f -i", &begin, &keys);
    assert_eq!(shown, expected);
}

#[test]
fn tab_in_fish_gives_the_snapshot() {
    let Some(lab) = shell_lab("fish") else { return };
    let file = lab.text("script");
    let path = std::env::var("PATH").unwrap_or_default();
    let complete = |line: &str| {
        let ask = format!("source '{file}'; complete --do-complete '{line}'");
        let mut command = lab.bare("fish");
        command
            .args(["--no-config", "-c", &ask])
            .env("PATH", format!("{}:{path}", lab.text("bin")))
            .env("BACKUP_CONFIG", lab.path("config.json"));
        let done = run_command(command, &[line]).expect(0);
        assert_eq!(done.stderr, "", "{done}");
        done.stdout
    };
    let [first, second, third] = [FIRST, SECOND, THIRD].map(id_of);
    let words = |told: &str| -> Vec<String> {
        let words = told.lines().map(|line| line.split('\t').next().unwrap());
        words.map(str::to_owned).collect()
    };
    assert_eq!(
        words(&complete("backup restore ")),
        ["latest", "latest~1", &third, &second, &first]
    );
    let one = complete("backup restore 2025-03-05");
    assert!(
        one.starts_with(&format!("{first}\tdaily")) && one.contains("pinned"),
        "{one}"
    );
    assert_eq!(words(&complete("backup-verify 2025-03-06")), [&*second]);
    assert!(complete("backup restore --overw").starts_with("--overwrite\t"));
    let config = lab.text("config.json");
    let told = complete(&format!("backup unpin --config {config} "));
    assert_eq!(words(&told), [&*first]);
    let letter = lab.text("home/ann/lett");
    let told = complete(&format!("backup restore latest {letter}"));
    assert_eq!(words(&told).len(), 2, "{told}");
    // Where nothing of it is meant, files are.
    let told = complete(&format!("backup restore latest x {letter}"));
    assert!(
        words(&told).iter().any(|path| path.ends_with("letter.txt")),
        "{told}"
    );
    assert!(Path::new(&config).exists());
}

#[test]
fn destinations_are_offered_by_name_and_each_has_its_own_snapshots() {
    let mut lab = lab();
    fs::create_dir(lab.path("usb")).unwrap();
    let disk = json!({
        "type": "disk", "mountPoint": lab.path("usb"), "requireMount": false, "useRsync": false,
        "minSpaceGB": 0,
    });
    lab.set("destinations.usb", disk);
    let fourth = "2025-03-08T02:00:00+01:00";
    lab.at(fourth, &["apply", "--only", "usb"]).expect(0);
    let asked = ask(&lab, &["backup", "apply", "--only", ""]).stdout;
    let usb = lab.text("usb");
    assert!(asked.contains(&format!("usb\t{usb}\n")), "{asked}");
    assert_eq!(
        offered(&lab, &["backup", "plan", "--only", ""]),
        ["local", "usb"]
    );
    assert_eq!(
        offered(&lab, &["backup", "apply", "--only", "local", ""]),
        ["usb"]
    );
    assert_eq!(
        offered(&lab, &["backup", "pin", "--destination", "u"]),
        ["usb"]
    );
    let on_usb = ["backup", "delete", "--destination", "usb", ""];
    assert!(
        offered(&lab, &on_usb).is_empty(),
        "the newest good one stays"
    );
    let on_usb = ["backup", "verify", "--destination=usb", "2025"];
    assert_eq!(offered(&lab, &on_usb), [id_of(fourth)]);
    let path = lab.text("home/");
    let inside = ["backup", "restore", "--destination", "usb", "latest", &path];
    assert!(!offered(&lab, &inside).is_empty());
}
