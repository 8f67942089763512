//! Who presses keys, and what is seen then.

use std::sync::Arc;

use ratatui::{
    Terminal,
    backend::TestBackend,
    crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, MouseEvent, MouseEventKind},
};
use schema::StoredPathBuf;

use super::made::Made;
use crate::{Cancel, Source, app::App, draw::draw};

/// Somebody at a terminal, without threads: what is asked is answered before anything else happens.
pub(super) struct Person {
    pub(super) app: App,
    pub(super) made: Arc<Made>,
    terminal: Terminal<TestBackend>,
}

impl Person {
    pub(super) fn new(columns: u16, lines: u16) -> Self {
        Self::at(Made::new(), columns, lines, None)
    }

    pub(super) fn at(made: Made, columns: u16, lines: u16, start: Option<&str>) -> Self {
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

    pub(super) fn answer(&mut self) {
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

    pub(super) fn press(&mut self, code: KeyCode) -> &mut Self {
        self.app
            .take(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
        self.answer();
        self
    }

    pub(super) fn control(&mut self, letter: char) -> &mut Self {
        let key = KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL);
        self.app.take(Event::Key(key));
        self.answer();
        self
    }

    pub(super) fn keys(&mut self, letters: &str) -> &mut Self {
        for letter in letters.chars() {
            self.press(KeyCode::Char(letter));
        }
        self
    }

    pub(super) fn mouse(&mut self, kind: MouseEventKind, column: u16, row: u16) -> &mut Self {
        self.app.take(Event::Mouse(MouseEvent {
            kind,
            column,
            row,
            modifiers: KeyModifiers::NONE,
        }));
        self.answer();
        self
    }

    pub(super) fn screen(&self) -> String {
        self.terminal.backend().to_string()
    }

    pub(super) fn says(&self, text: &str) -> bool {
        self.screen().contains(text)
    }
}
