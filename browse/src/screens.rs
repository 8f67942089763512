//! What is seen after keys, on a made disk.

mod made;
mod person;

use ratatui::crossterm::event::{Event, KeyCode, MouseButton, MouseEventKind};
use schema::{StoredPathBuf, output::EntryKind};

use self::{
    made::{Made, SNAPSHOTS},
    person::Person,
};
use crate::{
    Action, Destination, Fault, FoundPath, Source, Target,
    app::Over,
    request::{Answer, Request},
};

#[test]
fn the_first_screen_shows_the_newest_snapshot_where_there_is_more_than_one_folder() {
    insta::assert_snapshot!("first", Person::new(80, 24).screen());
    insta::assert_snapshot!("first_wide", Person::new(120, 16).screen());
    insta::assert_snapshot!("first_narrow", Person::new(40, 12).screen());
    // Nothing breaks where there is no room at all.
    for (columns, lines) in [(1, 1), (20, 6), (59, 6), (60, 6), (61, 7), (300, 100)] {
        let mut person = Person::new(columns, lines);
        for keys in ["?", "q", "/x", "r", "d"] {
            person.keys(keys).press(KeyCode::Esc);
        }
    }
}

#[test]
fn the_tree_stays_where_it_is_while_the_time_goes_back() {
    let mut person = Person::new(80, 24);
    person.press(KeyCode::End);
    assert!(
        person.says(">  photo.jpg") || person.says("> photo.jpg"),
        "{}",
        person.screen()
    );
    person.keys("[");
    insta::assert_snapshot!("an_older_tree", person.screen());
    // Where it was not there something else is chosen, and it is again where it is.
    person.keys("[").keys("]");
    assert!(person.says("photo.jpg  33.2 KiB"), "{}", person.screen());
    // A folder that was not there then says so, and stays open.
    person.press(KeyCode::Home).keys("[");
    person.keys("/list").press(KeyCode::Enter);
    assert!(person.says("/home/ann/old"), "{}", person.screen());
    person.keys("]");
    assert!(person.says("not there at that time"), "{}", person.screen());
    person.keys("[");
    assert!(
        person.says(">  list") || person.says("> list"),
        "{}",
        person.screen()
    );
}

#[test]
fn folders_that_were_seen_are_not_read_again() {
    let mut person = Person::new(80, 24);
    person.keys("[[]]");
    person.press(KeyCode::Left).press(KeyCode::Right);
    person.keys("[]");
    let mut listed = person.made.listed.lock().unwrap().clone();
    let all = listed.len();
    listed.sort();
    listed.dedup();
    assert_eq!(listed.len(), all, "{listed:#?}");
}

#[test]
fn versions_tell_what_changed_and_show_the_tree_as_it_was() {
    let mut person = Person::new(80, 24);
    person.press(KeyCode::Home);
    person.press(KeyCode::Tab);
    insta::assert_snapshot!("versions", person.screen());
    person.press(KeyCode::Down).press(KeyCode::Enter);
    assert_eq!(person.app.snapshot().unwrap().name, SNAPSHOTS[1]);
    // The file that is gone now.
    person
        .keys("/list")
        .press(KeyCode::Enter)
        .press(KeyCode::Tab)
        .press(KeyCode::Up);
    insta::assert_snapshot!("versions_of_what_is_gone", person.screen());
}

#[test]
fn text_stands_side_by_side_and_of_all_else_what_is_known() {
    let mut person = Person::new(80, 24);
    person.press(KeyCode::Home).keys("d");
    insta::assert_snapshot!("text", person.screen());
    person.press(KeyCode::Esc);
    // Of a snapshot, with the one before it.
    person.press(KeyCode::BackTab).keys("d");
    insta::assert_snapshot!("changes", person.screen());
    person.keys("q");
    assert!(!person.app.is_over);
}

#[test]
fn names_are_found_as_somebody_types_also_of_what_is_gone() {
    let mut person = Person::new(80, 24);
    person.keys("/l");
    insta::assert_snapshot!("search", person.screen());
    person.keys("ist");
    assert!(person.says("1 path"), "{}", person.screen());
    person.press(KeyCode::Enter);
    assert_eq!(person.app.snapshot().unwrap().name, SNAPSHOTS[1]);
    assert_eq!(
        person.app.chosen_path().unwrap().shown(),
        "/home/ann/old/list"
    );
}

#[test]
fn what_is_marked_is_restored_to_where_somebody_says() {
    let mut person = Person::new(80, 24);
    person.press(KeyCode::Home).keys("  r");
    insta::assert_snapshot!("restore", person.screen());
    person.keys("/x").press(KeyCode::Enter);
    let Some(Action::Restore { from, target }) = person.app.action.take() else {
        panic!("{}", person.screen());
    };
    let counts: Vec<_> = from
        .iter()
        .map(|(name, paths)| (&**name, paths.len()))
        .collect();
    assert_eq!(counts, [(SNAPSHOTS[0], 2)]);
    assert_eq!(target, Target::Folder("/home/ann/x".to_owned()));
    // An older version, to where it was.
    person
        .keys("u")
        .press(KeyCode::Home)
        .press(KeyCode::Tab)
        .press(KeyCode::Down)
        .keys("r");
    person.press(KeyCode::Tab).press(KeyCode::Enter);
    let action = person.app.action.take();
    assert_eq!(
        action,
        Some(Action::Restore {
            from: [one_of(SNAPSHOTS[1], "home/ann/letter.txt")].into(),
            target: Target::InPlace,
        })
    );
}

/// A path of a snapshot.
fn one_of(snapshot: &str, path: &str) -> (String, Vec<StoredPathBuf>) {
    (snapshot.to_owned(), vec![StoredPathBuf::of_typed(path)])
}

#[test]
fn what_is_marked_while_searching_is_restored_together_each_from_the_snapshot_that_has_it() {
    let mut person = Person::new(80, 24);
    person.keys("/letter").press(KeyCode::Tab);
    // Also what another text finds.
    person
        .control('u')
        .keys("l")
        .press(KeyCode::Down)
        .press(KeyCode::Tab);
    insta::assert_snapshot!("search_marked", person.screen());
    person.control('r');
    insta::assert_snapshot!("restore_found", person.screen());
    // Whoever does not want to is where he was.
    person.press(KeyCode::Esc);
    assert!(
        person.says("search: l") && person.says("2 marked"),
        "{}",
        person.screen()
    );
    person.control('r').press(KeyCode::Enter);
    assert_eq!(
        person.app.action.take(),
        Some(Action::Restore {
            from: [
                one_of(SNAPSHOTS[0], "home/ann/letter.txt"),
                one_of(SNAPSHOTS[1], "home/ann/old/list"),
            ]
            .into(),
            target: Target::Folder("/home/ann".to_owned()),
        })
    );
    assert!(person.says("search: l"), "{}", person.screen());
    // Without marks it is what is chosen; where nothing is, nothing.
    person
        .press(KeyCode::Tab)
        .press(KeyCode::Up)
        .press(KeyCode::Tab)
        .press(KeyCode::Up);
    assert!(!person.says("marked"), "{}", person.screen());
    person.control('r');
    assert!(
        person.says("restore from the snapshot of 2025-01-17"),
        "{}",
        person.screen()
    );
    person.press(KeyCode::Esc).keys("xyz").control('r');
    assert!(
        person.says("nothing here to restore"),
        "{}",
        person.screen()
    );
    // What was marked goes with the snapshot that has it.
    person.control('u').keys("list").press(KeyCode::Tab);
    let mut overview = person.made.overview().unwrap();
    overview.snapshots.remove(1);
    person.app.answer(Answer::Overview(Ok(overview)));
    assert!(person.app.found_marks.is_empty());
}

#[test]
fn what_is_found_behind_the_question_is_there_after_it() {
    let mut person = Person::new(80, 24);
    person.keys("/l").control('r');
    let found = FoundPath {
        path: StoredPathBuf::of_typed("home/ann/late"),
        kind: EntryKind::File,
        newest: SNAPSHOTS[0].to_owned(),
        is_current: true,
        versions: 1,
    };
    let Over::Restore(dialog) = &mut person.app.over else {
        panic!("{}", person.screen());
    };
    dialog.search.as_mut().unwrap().end = None;
    person.app.answer(Answer::Found {
        text: "l".to_owned(),
        found: vec![found],
    });
    person.press(KeyCode::Esc);
    assert!(person.says("/home/ann/late"), "{}", person.screen());
}

#[test]
fn another_destination_is_chosen_and_shows_the_same_path() {
    let mut person = Person::new(80, 24);
    person.keys("o");
    assert!(person.says("no other destination"), "{}", person.screen());
    person.app.destinations = [("usb", "/mnt/backup"), ("nas", "/mnt/nas/atlas")]
        .map(|(name, place)| Destination {
            name: name.to_owned(),
            place: place.to_owned(),
        })
        .into();
    person.press(KeyCode::End).keys("o");
    insta::assert_snapshot!("destinations", person.screen());
    // The one that is shown is no other one.
    person.press(KeyCode::Enter);
    assert!(!person.app.is_over);
    person
        .keys("o")
        .press(KeyCode::Esc)
        .keys("oj")
        .press(KeyCode::Enter);
    assert!(person.app.is_over);
    assert_eq!(person.app.elsewhere.as_deref(), Some("nas"));
    assert_eq!(
        person.app.looked_at().unwrap().shown(),
        "/home/ann/photo.jpg"
    );
    for (columns, lines) in [(20, 6), (40, 8), (200, 60)] {
        let mut small = Person::new(columns, lines);
        small.app.destinations = person.app.destinations.clone();
        small.keys("oj");
    }
    // Of a folder what is around it.
    person.press(KeyCode::Home);
    person.press(KeyCode::Down);
    assert_eq!(person.app.looked_at().unwrap().shown(), "/home/ann");
}

#[test]
fn who_waits_long_is_told_so() {
    let mut person = Person::new(80, 24);
    person.app.waits = Some(7);
    person.answer();
    assert!(person.says("no answer for 7 s"), "{}", person.screen());
    assert!(person.says("Ctrl-C leaves"), "{}", person.screen());
}

#[test]
fn snapshots_are_pinned_and_deleted_where_they_stand_and_files_are_verified() {
    let mut person = Person::new(80, 24);
    person.press(KeyCode::Home).keys("v");
    assert!(matches!(
        person.app.action.take(),
        Some(Action::Verify { .. })
    ));
    // What is in them is not.
    person.keys("x");
    assert_eq!(person.app.action.take(), None);
    assert!(person.says("not what is in them"), "{}", person.screen());
    person.press(KeyCode::BackTab).keys("p");
    assert_eq!(
        person.app.action.take(),
        Some(Action::Pin(SNAPSHOTS[0].to_owned()))
    );
    person.press(KeyCode::End).keys("p");
    assert_eq!(
        person.app.action.take(),
        Some(Action::Unpin(SNAPSHOTS[2].to_owned()))
    );
    person.press(KeyCode::Home).press(KeyCode::Down).keys("  x");
    insta::assert_snapshot!("snapshots", person.screen());
    let Some(Action::Delete(marked)) = person.app.action.take() else {
        panic!("{}", person.screen());
    };
    assert_eq!(marked, [SNAPSHOTS[2], SNAPSHOTS[1]]);
}

#[test]
fn the_mouse_chooses_opens_and_turns() {
    let mut person = Person::new(80, 24);
    let click = MouseEventKind::Down(MouseButton::Left);
    // The second row of the tree, then the third.
    person.mouse(click, 30, 3).mouse(click, 30, 4);
    assert_eq!(person.app.tree.chosen, 2);
    person.mouse(click, 30, 3).mouse(click, 30, 3);
    assert_eq!(person.app.at.shown(), "/home/ann/notes");
    // A line of the time line.
    person.mouse(click, 5, 4);
    assert_eq!(person.app.snapshot().unwrap().name, SNAPSHOTS[2]);
    person.mouse(MouseEventKind::ScrollUp, 5, 10);
    assert_eq!(person.app.snapshot().unwrap().name, SNAPSHOTS[0]);
}

#[test]
fn what_was_named_is_chosen_at_the_start() {
    let person = Person::at(Made::new(), 80, 24, Some("/home/ann/photo.jpg"));
    assert_eq!(
        person.app.chosen_path().unwrap().shown(),
        "/home/ann/photo.jpg"
    );
    let person = Person::at(Made::new(), 80, 24, Some("/home/ann/notes"));
    assert_eq!(person.app.at.shown(), "/home/ann/notes");
    let person = Person::at(Made::new(), 80, 24, Some("/home/ann/nothing"));
    assert!(
        person.says("/home/ann/nothing is not in this snapshot"),
        "{}",
        person.screen()
    );
}

#[test]
fn what_cannot_be_had_is_said_with_what_to_do_and_one_can_leave() {
    let made = Made {
        fault: Some(Fault {
            message: "destination not mounted: nothing is mounted at /mnt/backup".to_owned(),
            hint: Some("plug the drive in".to_owned()),
        }),
        ..Made::default()
    };
    let mut person = Person::at(made, 80, 12, None);
    insta::assert_snapshot!("fault", person.screen());
    for key in "jk[]d rvpxa/".chars() {
        person.press(KeyCode::Char(key));
    }
    person.press(KeyCode::Esc).keys("q");
    assert!(person.app.is_over);
}

#[test]
fn help_fits_a_small_terminal() {
    let mut person = Person::new(80, 24);
    person.keys("?");
    insta::assert_snapshot!("help", person.screen());
}

#[test]
fn after_a_change_versions_are_asked_for_once_it_is_known_which_snapshots_are_left() {
    let mut person = Person::new(80, 24);
    person.app.refresh();
    assert_eq!(person.app.take_requests(), [Request::Overview]);
    let overview = person.made.overview();
    person.app.answer(Answer::Overview(overview));
    let asked = person.app.take_requests();
    assert!(matches!(&*asked, [Request::Versions { .. }]), "{asked:?}");
}

/// Turns the direction of what follows, and clears a terminal.
const HOSTILE: &str = "\u{202e}gpj.\u{1b}[2J\u{9b}2J";

#[track_caller]
fn shows_nothing_but_letters(person: &Person) {
    let screen = person.screen();
    let is_harmless =
        |letter: char| letter != '\u{202e}' && (letter == '\n' || !letter.is_control());
    assert!(screen.chars().all(is_harmless), "{}", screen.escape_debug());
    // It is told, and not left out.
    assert!(screen.contains("\\342\\200\\256gpj.\\033[2J"), "{screen}");
}

#[test]
fn what_others_named_and_wrote_cannot_turn_or_clear_the_screen() {
    let mut made = Made::new();
    let text = |text: &str| Some(format!("{text}{HOSTILE}\n").into_bytes());
    let name = "home/ann/notes/\u{202e}gpj.\u{1b}[2J\u{9b}2J";
    made.files.insert(name, [text("a"), text("a"), text("b")]);
    let mut person = Person::at(made, 120, 24, Some("/home/ann/notes"));
    person.press(KeyCode::End);
    shows_nothing_but_letters(&person);
    person.keys("d");
    shows_nothing_but_letters(&person);
    person.press(KeyCode::Esc).keys("/gpj");
    shows_nothing_but_letters(&person);
    person.press(KeyCode::Enter).keys("r");
    shows_nothing_but_letters(&person);
    // What is pasted is from outside as well.
    for key in ["r", "/"] {
        person.press(KeyCode::Esc).keys(key);
        person.app.take(Event::Paste("\u{202e}gpj.".to_owned()));
        person.answer();
        let screen = person.screen();
        assert!(screen.contains("\\342\\200\\256gpj."), "{screen}");
        assert!(!screen.contains('\u{202e}'), "{}", screen.escape_debug());
    }
    let made = Made {
        fault: Some(Fault {
            message: HOSTILE.to_owned(),
            hint: Some(HOSTILE.to_owned()),
        }),
        ..Made::default()
    };
    shows_nothing_but_letters(&Person::at(made, 120, 24, None));
}
