//! What others chose the words of: names of files, and what programs print.

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
};

use schema::outside::one_line;

use crate::lab::{Lab, PROGRAM, Ran, contents_below, run_command};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";

/// Turns the direction of writing, hides, colours, ends the line and begins one like ours.
const NAME: &str =
    "photo\u{202e}gpj.exe\u{200b}\u{1b}[31m\nerror: forged\u{85}\u{2067}\u{e0041}\u{feff}";

#[track_caller]
fn assert_harmless(what: &str, text: &str) {
    for line in text.lines() {
        assert_eq!(one_line(line), line, "{what}: {text:?}");
        assert!(!line.starts_with("error: forged"), "{what}: {text}");
    }
}

#[track_caller]
fn harmless(ran: Ran) -> Ran {
    assert_harmless(&ran.what, &ran.all());
    ran
}

#[test]
fn neither_screen_nor_log_shows_a_name_raw() {
    let mut lab = Lab::new();
    lab.write(&format!("home/ann/{NAME}"), "one\n");
    let print = format!("printf '%s\\n' '{NAME}'");
    lab.set("preBackupScript", lab.script("pre", &print));
    harmless(lab.at(FIRST, &["apply"]).expect(0));
    lab.write(&format!("home/ann/{NAME}"), "other\n");
    let planned = harmless(lab.at(SECOND, &["plan"]).expect(0));
    assert!(planned.stdout.contains("copy"));
    harmless(lab.at(SECOND, &["apply", "--json"]).expect(0));
    let stored = lab.inside("latest", format!("home/ann/{NAME}"));
    // Of the same size and time, so that only reading it tells.
    let file = fs::File::options().write(true).open(&stored).unwrap();
    let time = file.metadata().unwrap().modified().unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"X", 0).unwrap();
    file.set_modified(time).unwrap();
    lab.write("home/target", "in the way\n");
    let path = lab.text(&format!("home/ann/{NAME}"));
    let target = lab.text("home/target");
    for arguments in [
        &["list"][..],
        &["status"],
        &["find", "photo*"],
        &["find", "photo*", "--json"],
        &["find", "-F", NAME],
        &["diff", "2025-03-05", "latest"],
        &["diff", "2025-03-05", "latest", "--json"],
        &["verify", "--all"],
        &["health"],
        &["restore", "latest", &path, &target, "--dry-run"],
        &["restore", "latest", &path, &target],
        &["restore", "latest", &path, "/no\u{202e}where/at\nall"],
        &["restore", NAME, &path, &target],
        &["plan", NAME],
        &[NAME],
        &["--config", NAME, "check"],
    ] {
        let ran = harmless(lab.run(arguments));
        let named = ["find", "diff", "verify"].contains(&arguments[0]);
        assert!(!named || ran.stdout.contains("gpj.exe"), "{ran}");
    }
    for (name, text) in contents_below(&lab.path("log")) {
        assert_harmless(&format!("{name:?}"), &text);
    }
    let log = fs::read_to_string(lab.path("log/backup-coordinator.log")).unwrap();
    assert!(log.contains("photo\\342\\200\\256gpj.exe"), "{log}");
}

#[test]
fn a_name_is_whole_in_json() {
    let lab = Lab::new();
    lab.write(&format!("home/ann/{NAME}"), "one\n");
    lab.backup(FIRST);
    let found = lab.run(&["find", "*gpj*", "--json"]).expect(0).json();
    let path = found["paths"][0]["path"].as_str().unwrap();
    let path = schema::escape::unescape(path).unwrap();
    assert!(path.ends_with(NAME.as_bytes()), "{path:?}");
}

#[test]
fn letters_of_all_scripts_stand_in_columns() {
    let lab = Lab::new();
    let names = [
        "größe.txt",
        "日本語のとても長い名前のファイル日本語のとても長い名前のファイル.txt",
        "한국어.txt",
        "\u{1f4f7} \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}.jpg",
    ];
    for name in names {
        lab.write(&format!("home/ann/{name}"), "one\n");
    }
    lab.backup(FIRST);
    for name in names {
        let found = lab.run(&["find", "-F", name]).expect(0);
        assert!(found.stdout.contains(name), "{found}");
    }
    lab.at(SECOND, &["plan"]).expect(0).fits();
}

#[test]
fn a_command_that_is_offered_does_only_what_it_says() {
    let lab = Lab::new();
    let names: [&[u8]; 7] = [
        b"it's $(touch pwned) `touch pwned`; touch pwned & \"x\"",
        b"a\nb\ttouch pwned",
        b"caf\xe9",
        b"-rf",
        b"!! ~ * ?[a] {b,c} #",
        "photo\u{202e}gpj.exe".as_bytes(),
        b"\\",
    ];
    for (at, name) in names.iter().enumerate() {
        let folder = lab.path(format!("home/odd/{at}"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(OsStr::from_bytes(name)), at.to_string()).unwrap();
    }
    lab.backup(FIRST);
    for (at, name) in names.iter().enumerate() {
        let pattern = lab.text(&format!("home/odd/{at}/*"));
        let found = lab.run(&["find", &pattern]).expect(0);
        let hint = found.stderr.split("hint: backup ").nth(1).unwrap();
        assert_eq!(hint.lines().count(), 1, "{found}");
        // As a person would paste it into a shell.
        let arguments: Vec<OsString> = lab.command(&[]).get_args().map(OsStr::to_owned).collect();
        let mut shell = lab.bare("bash");
        let line = format!("{PROGRAM} \"$@\" {hint}");
        shell.args(["-c", &line, "bash"]).args(arguments);
        run_command(shell, &["restore"]).expect(0);
        let restored = OsString::from_vec([name, &b".restored"[..]].concat());
        let content = fs::read_to_string(lab.path(".").join(restored)).unwrap();
        assert_eq!(content, at.to_string());
    }
    assert!(!lab.path("pwned").exists());
}
