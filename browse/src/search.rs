//! Searching as somebody types.

use std::collections::BTreeMap;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use schema::StoredPathBuf;

use crate::{
    app::{App, Over, Pane},
    data::{Fault, FoundPath, Read},
    dialog::RestoreDialog,
    input::Input,
    request::{MOST_FOUND, Request},
    rows::Rows,
};

/// A search over all snapshots.
#[derive(Debug, Default)]
pub(crate) struct Search {
    pub(crate) input: Input,
    pub(crate) found: Vec<FoundPath>,
    pub(crate) rows: Rows,
    /// What could not be searched, once all was.
    pub(crate) end: Option<Read<Option<String>>>,
}

impl Search {
    /// Begins anew, as the text is another one.
    pub(crate) fn restart(&mut self) {
        self.found.clear();
        self.rows = Rows::default();
        self.end = None;
    }

    pub(crate) fn add(&mut self, text: &str, found: Vec<FoundPath>) {
        if self.input.text() == text && self.end.is_none() {
            self.found.extend(found);
        }
    }

    pub(crate) fn end(&mut self, text: &str, end: Read<Option<String>>) {
        if self.input.text() == text {
            self.end = Some(end);
        }
    }

    /// The path that is chosen.
    pub(crate) fn chosen(&self) -> Option<&FoundPath> {
        self.found.get(self.rows.chosen)
    }

    /// How far it is.
    pub(crate) fn standing(&self) -> String {
        let count = schema::amount::plural(self.found.len() as u64, "path", "paths");
        match &self.end {
            _ if self.input.text().is_empty() => "type a part of a name".to_owned(),
            _ if self.found.len() >= MOST_FOUND => format!("the first {count}"),
            None => format!("{count} so far"),
            Some(Ok(None)) => count,
            Some(Ok(Some(unread))) => format!("{count}; not searched: {unread}"),
            Some(Err(Fault { message, .. })) => message.clone(),
        }
    }
}

impl App {
    pub(crate) fn take_search_key(&mut self, key: KeyEvent) {
        let Over::Search(search) = &mut self.over else {
            return;
        };
        let (all, page) = (search.found.len(), search.rows.page());
        match key.code {
            KeyCode::Esc => {
                self.over = Over::Nothing;
                self.ask(Request::Nothing);
            }
            KeyCode::Down => search.rows.step(1, all),
            KeyCode::Up => search.rows.step(-1, all),
            KeyCode::PageDown => search.rows.step(page, all),
            KeyCode::PageUp => search.rows.step(-page, all),
            KeyCode::Enter => self.go_to_found(),
            KeyCode::Tab => self.mark_found(),
            KeyCode::Char('r') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                self.ask_restore_of_found();
            }
            _ => {
                if search.input.take(key) {
                    self.search_anew();
                }
            }
        }
    }

    pub(crate) fn search_anew(&mut self) {
        let Over::Search(search) = &mut self.over else {
            return;
        };
        search.restart();
        let text = search.input.text().to_owned();
        self.ask(match text.is_empty() {
            true => Request::Nothing,
            false => Request::Find { text },
        });
    }

    /// Shows the path that was found in the newest snapshot that has it.
    pub(crate) fn go_to_found(&mut self) {
        let Over::Search(search) = &self.over else {
            return;
        };
        let Some(found) = search.chosen().cloned() else {
            return;
        };
        self.over = Over::Nothing;
        self.ask(Request::Nothing);
        if let Some(place) = self.place_of(&found.newest) {
            self.snapshots.chosen = place;
        }
        if let Some((folder, name)) = found.path.split_name() {
            self.go_to(folder.to_owned(), Some(name));
        }
        self.focus = Pane::Tree;
    }

    /// Marks what is chosen, or unmarks it, whatever is searched next.
    fn mark_found(&mut self) {
        let Over::Search(search) = &mut self.over else {
            return;
        };
        let Some(found) = search.chosen() else {
            return;
        };
        if self.found_marks.remove(&found.path).is_none() {
            let (path, newest) = (found.path.clone(), found.newest.clone());
            self.found_marks.insert(path, newest);
        }
        let all = search.found.len();
        search.rows.step(1, all);
    }

    /// Asks where to restore what is marked or chosen, each from the newest snapshot that has it.
    fn ask_restore_of_found(&mut self) {
        let Over::Search(search) = &mut self.over else {
            return;
        };
        let chosen = search.chosen().filter(|_| self.found_marks.is_empty());
        let chosen = chosen.map(|found| (&found.path, &found.newest));
        let mut from: BTreeMap<String, Vec<StoredPathBuf>> = BTreeMap::new();
        for (path, snapshot) in self.found_marks.iter().chain(chosen) {
            from.entry(snapshot.clone()).or_default().push(path.clone());
        }
        if from.is_empty() {
            self.message = Some("there is nothing here to restore".to_owned());
            return;
        }
        let mut dialog = RestoreDialog::new(from, &self.here);
        dialog.search = Some(std::mem::take(search));
        self.over = Over::Restore(dialog);
    }
}
