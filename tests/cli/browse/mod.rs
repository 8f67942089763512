//! `browse` in a terminal: keys in, screens out.

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::json;
use test_support::{Terminal, is_missing};

use crate::{
    lab::{HOST, Lab, id_of},
    remotes,
};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";
const THIRD: &str = "2025-03-07T02:00:00+01:00";

/// Two snapshots, between which a letter was changed and a list is gone.
fn lab(test: &str) -> Option<Lab> {
    if is_missing(test, &["tmux"], false) {
        return None;
    }
    let lab = Lab::short();
    lab.backup(FIRST);
    lab.write("home/ann/letter.txt", "dear all\nonce more\n");
    fs::remove_file(lab.path("home/bob/notes/list.md")).unwrap();
    lab.backup(SECOND);
    Some(lab)
}

#[test]
fn somebody_looks_around_compares_finds_what_is_gone_and_restores_it() {
    let Some(lab) = lab("somebody_looks_around") else {
        return;
    };
    let terminal = Terminal::start(&lab, &["browse"], 80, 24);
    // The folder in which there is more than one.
    terminal.shows(&["2 snapshots", "> ann/", "  bob/", "2025-03-06 02:00"]);
    terminal
        .keys(&["Enter"])
        .shows(&["/home/ann", "> letter.txt", "2 versions", "+10 B"]);
    terminal
        .keys(&["d"])
        .shows(&["dear all", "> once more", "size", "9 bytes"]);
    terminal.keys(&["Escape"]).shows(&["2 versions"]);
    terminal.keys(&["["]).shows(&["photo.jpg"]);
    // What is gone is found as a part of its name is typed, in the snapshot that has it.
    terminal
        .keys(&["/", "l", "i", "s", "t"])
        .shows(&["list.md", "gone", "1 path"]);
    terminal
        .keys(&["Enter"])
        .shows(&["/home/bob/notes", "> list.md", ">  2025-03-05"]);
    terminal
        .keys(&["r"])
        .shows(&["restore from the snapshot of 2025-03-05 02:00"]);
    let target = lab.text("back");
    fs::create_dir(lab.path("back")).unwrap();
    terminal.keys(&["C-u"]).types(&target).keys(&["Enter"]);
    terminal.shows(&["$ ", " restore ", &id_of(FIRST), "Enter: back"]);
    assert_eq!(
        fs::read_to_string(lab.path("back/list.md")).unwrap(),
        "- milk\n"
    );
    terminal.keys(&["Enter"]).shows(&["/home/bob/notes"]);
    terminal.keys(&["q"]).ends(0);
}

#[test]
fn a_snapshot_is_pinned_deleted_as_a_plan_and_a_file_is_verified() {
    let Some(lab) = lab("a_snapshot_is_pinned") else {
        return;
    };
    let letter = lab.text("home/ann/letter.txt");
    let terminal = Terminal::start(&lab, &["browse", &letter], 80, 24);
    terminal.shows(&["> letter.txt", "2 versions"]);
    terminal
        .keys(&["v"])
        .shows(&["whole: ", "letter.txt (19 B) as the manifest has it"]);
    terminal.keys(&["Enter"]).shows(&["> letter.txt"]);
    // The older one, which is pinned, is not deleted; unpinned it is, after a question.
    terminal
        .keys(&["BTab", "Down", "p"])
        .shows(&[" pin ", "whatever the retention says"]);
    terminal.keys(&["Enter"]).shows(&["*2025-03-05"]);
    terminal
        .keys(&["x"])
        .shows(&["pinned", "hint:", "Enter: back"]);
    terminal.keys(&["Enter"]).shows(&["*2025-03-05"]);
    terminal
        .keys(&["p"])
        .shows(&[" unpin "])
        .keys(&["Enter"])
        .shows(&["2 snapshots"]);
    terminal
        .keys(&["x"])
        .shows(&["Delete these for good? [y/N]", "frees"]);
    terminal
        .keys(&["y", "Enter"])
        .shows(&["1 snapshot deleted, as shown"]);
    terminal
        .keys(&["Enter"])
        .shows(&["1 snapshot ", ">  2025-03-06"]);
    assert_eq!(lab.ids(), [id_of(SECOND)]);
    terminal.keys(&["C-c"]).ends(0);
}

#[test]
fn the_disk_of_another_machine_needs_no_configuration() {
    let Some(lab) = lab("the_disk_of_another_machine") else {
        return;
    };
    let mount = lab.text("mnt");
    let none = lab.text("none.json");
    let words = ["browse", "--destination", &mount, "--config", &none];
    let terminal = Terminal::start_bare(&lab, &words, 80, 24);
    terminal.shows(&[HOST, "2 snapshots", "> ann/"]);
    terminal.keys(&["Enter"]).shows(&["> letter.txt"]);
    terminal
        .keys(&["r", "C-u"])
        .types(&lab.text(""))
        .keys(&["Enter"]);
    terminal.shows(&["Enter: back"]);
    assert_eq!(
        fs::read_to_string(lab.path("letter.txt")).unwrap(),
        "dear all\nonce more\n"
    );
    terminal
        .keys(&["Enter"])
        .shows(&["> letter.txt"])
        .keys(&["q"])
        .ends(0);
    drop(terminal);
    let words = ["browse", "--destination", &lab.text("home")];
    let terminal = Terminal::start(&lab, &words, 80, 24);
    terminal
        .told(&["there are no snapshots in ", "hint:"])
        .ends(4);
}

#[test]
fn a_user_sees_in_the_trees_what_the_records_do_not_tell_him() {
    let Some(lab) = lab("a_user_sees") else {
        return;
    };
    if !nix::unistd::geteuid().is_root() {
        crate::lab::skip("a_user_sees: not root");
        return;
    }
    let tiers = ["daily", "weekly", "monthly"].map(|tier| format!("mnt/atlas/{tier}"));
    for folder in ["", "mnt", "mnt/atlas"]
        .into_iter()
        .chain(tiers.iter().map(String::as_str))
    {
        fs::set_permissions(lab.path(folder), fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::copy(crate::lab::PROGRAM, lab.path("backup")).unwrap();
    let terminal = Terminal::start_as_nobody(&lab, &["browse"], 80, 24);
    terminal.shows(&["2 snapshots", "?2025-03-06 02:00", "> ann/"]);
    terminal
        .keys(&["Enter"])
        .shows(&["> letter.txt", "2 versions", "+10 B"]);
    terminal
        .keys(&["p"])
        .shows(&["has no record that could be changed"]);
    terminal.keys(&["q"]).ends(0);
}

#[test]
fn where_there_is_no_terminal_the_lines_of_other_verbs_are_offered() {
    let lab = Lab::new();
    for words in [&["browse"][..], &["browse", "--json"]] {
        lab.run(words).expect(4).hints("backup list");
    }
    let Some(lab) = self::lab("where_there_is_no_terminal") else {
        return;
    };
    let dumb = Terminal::start_on(&lab, "dumb", &["browse"], 80, 24);
    dumb.told(&["TERM says that this is none", "hint:"]).ends(4);
}

#[test]
fn without_colour_everything_is_told_by_signs_and_words() {
    let Some(lab) = lab("without_colour") else {
        return;
    };
    // Where there is colour it is seen.
    let terminal = Terminal::start_in_color(&lab, &["browse"], 80, 24);
    terminal.shows(&["> ann/"]);
    assert!(terminal.has_color());
    terminal.keys(&["q"]).ends(0);
    drop(terminal);
    let terminal = Terminal::start_on(&lab, "vt100", &["browse"], 80, 24);
    terminal.shows(&["> ann/"]);
    let steps: [(&[&str], &[&str]); 12] = [
        (&["Enter"], &["> letter.txt", "2 versions", ">  2025-03-06"]),
        (
            &["Space", "Space"],
            &[" +letter.txt", "+photo.jpg", "2 marked"],
        ),
        (&["u", "Home"], &["> letter.txt", "2 versions"]),
        (&["d"], &["> once more", "size", " | "]),
        (&["Escape"], &["> letter.txt"]),
        (&["?"], &["What is where", "any key: back"]),
        (
            &["Enter", "/", "l", "i", "s"],
            &["> ", "list.md", "gone", "1 path"],
        ),
        (&["Tab"], &[">+", "1 marked"]),
        (&["C-r"], &["(*) into this folder", "( ) where it was"]),
        (&["Escape"], &["search: lis"]),
        (&["Escape"], &["> letter.txt"]),
        (&["v"], &["whole: "]),
    ];
    for (keys, texts) in steps {
        terminal.keys(keys).shows(texts);
        assert!(!terminal.has_color(), "{texts:?}");
    }
    terminal.keys(&["Enter"]).shows(&["> letter.txt"]);
    terminal.keys(&["q"]).ends(0);
}

#[test]
fn another_destination_is_looked_at_without_leaving_and_what_is_marked_comes_from_several_snapshots()
 {
    let Some(mut lab) = lab("another_destination") else {
        return;
    };
    fs::create_dir(lab.path("usb")).unwrap();
    let usb = json!({ "type": "disk", "mountPoint": lab.path("usb"), "requireMount": false });
    lab.set("destinations", json!({ "usb": usb }));
    lab.backup(THIRD);
    let letter = lab.text("home/ann/letter.txt");
    let terminal = Terminal::start(&lab, &["browse", &letter], 80, 24);
    terminal.shows(&[
        "atlas on local",
        "(o: others)",
        "3 snapshots",
        "> letter.txt",
    ]);
    terminal.keys(&["o"]).shows(&["> =local", "   usb "]);
    terminal
        .keys(&["Down", "Enter"])
        .shows(&["atlas on usb", "1 snapshot ", "> letter.txt"]);
    // What is done there is done there.
    terminal
        .keys(&["BTab", "p"])
        .shows(&["pin --destination usb", "Enter: back"]);
    terminal.keys(&["Enter"]).shows(&["*2025-03-07"]);
    terminal
        .keys(&["o", "Up", "Enter"])
        .shows(&["atlas on local", "3 snapshots", "> letter.txt"]);
    fs::create_dir(lab.path("back")).unwrap();
    terminal
        .keys(&["/", "l", "i", "s", "t", "."])
        .shows(&["list.md", "1 path"])
        .keys(&["Tab"])
        .shows(&["1 marked"]);
    terminal
        .keys(&["C-u", "l", "e", "t", "t", "e", "r"])
        .shows(&["letter.txt", "1 path"])
        .keys(&["Tab", "C-r"])
        .shows(&[
            "restore from 2 snapshots",
            "and 1 other, each from the newest",
        ]);
    terminal
        .keys(&["C-u"])
        .types(&lab.text("back"))
        .keys(&["Enter"]);
    terminal.shows(&[
        &id_of(FIRST),
        &id_of(THIRD),
        "/back/letter.txt, 1 file read back",
    ]);
    let back = |name: &str| fs::read_to_string(lab.path("back").join(name)).unwrap();
    assert_eq!(back("list.md"), "- milk\n");
    assert_eq!(back("letter.txt"), "dear all\nonce more\n");
    terminal.keys(&["Enter"]).shows(&["search: letter"]);
    terminal.keys(&["C-c"]).ends(0);
}

#[test]
fn what_cannot_be_reached_is_said_and_one_can_leave() {
    let Some(mut lab) = lab("what_cannot_be_reached") else {
        return;
    };
    lab.set("local.requireMount", json!(true));
    let terminal = Terminal::start(&lab, &["browse"], 60, 10);
    terminal
        .shows(&["destination not mounted"])
        .keys(&["q"])
        .ends(0);
}

#[test]
fn whose_terminal_goes_is_gone_with_it_whatever_is_on_the_screen() {
    let Some(lab) = lab("whose_terminal_goes") else {
        return;
    };
    for keys in [&[][..], &["/", "l"], &["x", "Enter"]] {
        let terminal = Terminal::start(&lab, &["browse"], 80, 24);
        terminal.shows(&["> ann/"]).keys(keys).takes_away();
    }
    // In the middle of a question of a verb.
    let terminal = Terminal::start(&lab, &["browse"], 80, 24);
    terminal.shows(&["> ann/"]).keys(&["BTab", "Down", "x"]);
    terminal.shows(&["[y/N]"]).takes_away();
    assert_eq!(lab.ids().len(), 2);
}

#[test]
fn of_a_remote_the_manifests_are_browsed_and_what_is_restored_is_brought() {
    if is_missing("of_a_remote", &["tmux"], false) {
        return;
    }
    let Some(lab) = remotes::lab("of_a_remote") else {
        return;
    };
    remotes::back_up(&lab, FIRST);
    lab.write("home/ann/letter.txt", "dear all\nonce more\n");
    remotes::back_up(&lab, SECOND);
    let words = ["browse", "--destination", "b2"];
    let terminal = Terminal::start(&lab, &words, 80, 24);
    terminal.shows(&["atlas on b2", "2 snapshots", "> ann/"]);
    terminal
        .keys(&["Enter"])
        .shows(&["> letter.txt", "2 versions", "+10 B"]);
    // What it would read is not here.
    terminal
        .keys(&["d"])
        .shows(&["9 bytes", "19 bytes", "content is not shown"]);
    terminal.keys(&["Escape"]).shows(&["2 versions"]);
    terminal
        .keys(&["v"])
        .shows(&["the content is at", "hint:", "Enter: back"]);
    terminal.keys(&["Enter", "["]).shows(&["letter.txt", "9 B"]);
    let back = lab.text("back");
    fs::create_dir(&back).unwrap();
    terminal
        .keys(&["r"])
        .shows(&["restore from the snapshot of 2025-03-05 02:00"]);
    terminal.keys(&["C-u"]).types(&back).keys(&["Enter"]);
    terminal.shows(&["--destination b2", "restored 1 entry"]);
    assert_eq!(
        fs::read_to_string(lab.path("back/letter.txt")).unwrap(),
        "dear all\n"
    );
    terminal.keys(&["Enter"]).shows(&["letter.txt"]);
    terminal.keys(&["q"]).ends(0);
}
