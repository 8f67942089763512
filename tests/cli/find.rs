//! `find`: the versions of a path over all snapshots.

use std::fs;

use crate::lab::{Lab, id_of};

const TIMES: [&str; 5] = [
    "2025-03-05T02:00:00+01:00",
    "2025-03-06T02:00:00+01:00",
    "2025-03-07T02:00:00+01:00",
    "2025-03-08T02:00:00+01:00",
    "2025-03-09T02:00:00+01:00",
];

/// The letter is there twice, changes, goes and comes back.
fn five_snapshots() -> Lab {
    let lab = Lab::new();
    let letter = "home/ann/letter.txt";
    for (at, now) in TIMES.into_iter().enumerate() {
        match at {
            2 => lab.write(letter, "dear all, again\n"),
            3 => fs::remove_file(lab.path(letter)).unwrap(),
            4 => lab.write(letter, "dear all\n"),
            _ => {}
        }
        lab.backup(now);
    }
    lab
}

#[test]
fn equal_content_is_one_line_and_a_gap_is_told() {
    let lab = five_snapshots();
    let found = lab.run(&["find", "letter.txt", "--json"]).expect(0).json();
    assert_eq!(found["searched"].as_array().unwrap().len(), 5);
    let paths = found["paths"].as_array().unwrap();
    assert_eq!(paths.len(), 1, "{found:#}");
    assert_eq!(paths[0]["path"], lab.text("home/ann/letter.txt"));
    let told: Vec<String> = paths[0]["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            format!(
                "{} {} {} {} {}",
                one["first"].as_str().unwrap(),
                one["last"].as_str().unwrap(),
                one["snapshots"],
                one["kind"].as_str().unwrap(),
                one["size"]
            )
        })
        .collect();
    let id = |at: usize| id_of(TIMES[at]);
    assert_eq!(
        told,
        [
            format!("{} {} 2 file 9", id(0), id(1)),
            format!("{} {} 1 file 16", id(2), id(2)),
            format!("{} {} 1 absent null", id(3), id(3)),
            format!("{} {} 1 file 9", id(4), id(4)),
        ]
    );
    let digest = &paths[0]["versions"][0]["sha256"];
    assert_eq!(digest, &paths[0]["versions"][3]["sha256"]);
    assert_eq!(digest.as_str().unwrap().len(), 64);
}

#[test]
fn the_command_that_is_offered_brings_the_file_back() {
    let lab = five_snapshots();
    fs::rename(lab.path("home/ann"), lab.path("home/ann's own")).unwrap();
    lab.backup("2025-03-10T02:00:00+01:00");
    let found = lab.run(&["find", "ann's own/letter.txt"]).expect(0);
    found.fits();
    let hint = found.stderr.split("hint: ").nth(1).unwrap().trim();
    // As a person would paste it into a shell.
    let mut shell = lab.command(&[]);
    let arguments: Vec<_> = shell.get_args().map(ToOwned::to_owned).collect();
    shell = lab.bare("/bin/sh");
    let program = crate::lab::PROGRAM;
    let line = hint.replacen("backup ", &format!("{program} \"$@\" "), 1);
    shell.args(["-c", &line, "sh"]).args(arguments);
    crate::lab::run_command(shell, &["restore"]).expect(0);
    let back = fs::read_to_string(lab.path("letter.txt.restored")).unwrap();
    assert_eq!(back, "dear all\n");
}

#[test]
fn patterns_mean_what_exclude_patterns_mean() {
    let lab = five_snapshots();
    lab.write("home/bob/list.md", "- bread\n");
    lab.write("home/bob/a*b", "star\n");
    lab.write("home/bob/azb", "no star\n");
    lab.backup("2025-03-10T02:00:00+01:00");
    let paths = |arguments: &[&str]| -> Vec<String> {
        let found = lab.run(&[&["find", "--json"], arguments].concat());
        let found = found.expect(0).json();
        let paths = found["paths"].as_array().unwrap().iter();
        let home = lab.text("home/");
        paths
            .map(|one| one["path"].as_str().unwrap().replace(&home, ""))
            .collect()
    };
    assert_eq!(paths(&["list.md"]), ["bob/list.md", "bob/notes/list.md"]);
    assert_eq!(paths(&["notes/list.md"]), ["bob/notes/list.md"]);
    assert_eq!(paths(&[&lab.text("home/bob/*.md")]), ["bob/list.md"]);
    assert_eq!(paths(&["notes/"]), ["bob/notes"]);
    assert_eq!(paths(&["list.md/"]), [""; 0]);
    assert_eq!(paths(&["a*b"]), ["bob/a\\052b", "bob/azb"]);
    assert_eq!(paths(&["-F", "a*b"]), ["bob/a\\052b"]);
    assert_eq!(paths(&["LIST.md"]), [""; 0]);
    assert_eq!(
        paths(&["-i", "LIST.MD"]),
        ["bob/list.md", "bob/notes/list.md"]
    );
    assert_eq!(paths(&["--ignore-case", "-F", "A*B"]), ["bob/a\\052b"]);
    assert_eq!(paths(&["-i", "Notes/*.Md"]), ["bob/notes/list.md"]);
    let all = paths(&[&lab.text("home/**")]);
    assert_eq!(all.len(), 9, "{all:?}");
}

#[test]
fn nothing_found_is_said_and_is_no_fault() {
    let lab = five_snapshots();
    lab.run(&["find", "leter"])
        .expect(0)
        .says("no path in 5 snapshots matches leter")
        .hints("'*letter*'");
    lab.run(&["find", ""]).expect(2).hints("letter.txt");
    lab.run(&["find"]).expect(2);
}

#[test]
fn a_damaged_manifest_is_told_and_the_others_are_searched() {
    let lab = five_snapshots();
    let damaged = id_of(TIMES[1]);
    let path = lab.stored(&format!(".backup/snapshots/{damaged}/manifest/SHA256SUMS"));
    let mut bytes = fs::read(&path).unwrap();
    bytes.truncate(bytes.len() / 2);
    fs::write(&path, bytes).unwrap();
    let told = lab.run(&["find", "letter.txt"]).expect(3);
    let told = told.says(&format!("not searched: {damaged}"));
    assert!(told.stdout.contains("not there"), "{told}");
    let found = lab.run(&["find", "letter.txt", "--json"]).expect(3).json();
    assert_eq!(found["not_searched"][0]["snapshot"], damaged.as_str());
    // It is not taken for one in which the file was missing.
    assert_eq!(found["paths"][0]["versions"][0]["snapshots"], 1);
}

#[test]
fn a_folder_of_another_tool_is_named_as_not_searched() {
    let lab = five_snapshots();
    fs::create_dir_all(lab.stored("daily/2019-05-01/home")).unwrap();
    lab.run(&["find", "letter.txt"])
        .expect(0)
        .says("not searched: daily/2019-05-01")
        .says("backup adopt");
}
