//! What is seen after keys, on a made disk.

mod made;

use std::sync::Arc;

use ratatui::{
    Terminal,
    backend::TestBackend,
    crossterm::event::{
        Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
    },
};
use schema::StoredPathBuf;

use self::made::{Made, SNAPSHOTS};
use crate::{
    Action, Cancel, Fault, Source, Target,
    app::App,
    draw::draw,
    request::{Answer, Request},
};

/// Somebody at a terminal, without threads: what is asked is answered before anything else happens.
struct Person {
    app: App,
    made: Arc<Made>,
    terminal: Terminal<TestBackend>,
}

impl Person {
    fn new(columns: u16, lines: u16) -> Self {
        Self::at(Made::new(), columns, lines, None)
    }

    fn at(made: Made, columns: u16, lines: u16, start: Option<&str>) -> Self {
        let made = Arc::new(made);
        let source: Arc<dyn Source> = made.clone();
        let start = start.map(StoredPathBuf::of_typed);
        let app = App::new(source, false, start.as_deref(), "/home/ann".to_owned());
        let terminal = Terminal::new(TestBackend::new(columns, lines)).unwrap();
        let mut person = Self {
            app,
            made,
            terminal,
        };
        person.answer();
        person
    }

    fn answer(&mut self) {
        loop {
            let requests = self.app.take_requests();
            if requests.is_empty() {
                break;
            }
            for request in requests {
                let mut answers = Vec::new();
                request.serve(&*self.made, &Cancel::default(), &mut |answer| {
                    answers.push(answer);
                    true
                });
                for answer in answers {
                    self.app.answer(answer);
                }
            }
        }
        self.terminal
            .draw(|frame| draw(&mut self.app, frame))
            .unwrap();
    }

    fn press(&mut self, code: KeyCode) -> &mut Self {
        self.app
            .take(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
        self.answer();
        self
    }

    fn keys(&mut self, letters: &str) -> &mut Self {
        for letter in letters.chars() {
            self.press(KeyCode::Char(letter));
        }
        self
    }

    fn mouse(&mut self, kind: MouseEventKind, column: u16, row: u16) -> &mut Self {
        self.app.take(Event::Mouse(MouseEvent {
            kind,
            column,
            row,
            modifiers: KeyModifiers::NONE,
        }));
        self.answer();
        self
    }

    fn screen(&self) -> String {
        self.terminal.backend().to_string()
    }

    fn says(&self, text: &str) -> bool {
        self.screen().contains(text)
    }
}

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
    let Some(Action::Restore {
        snapshot,
        paths,
        target,
    }) = person.app.action.take()
    else {
        panic!("{}", person.screen());
    };
    assert_eq!(snapshot, SNAPSHOTS[0]);
    assert_eq!(paths.len(), 2);
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
    let Some(Action::Restore {
        snapshot,
        paths,
        target: Target::InPlace,
    }) = action
    else {
        panic!("{action:?}");
    };
    assert_eq!(
        (snapshot.as_str(), paths[0].shown().as_str()),
        (SNAPSHOTS[1], "/home/ann/letter.txt")
    );
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
