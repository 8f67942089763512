//! Choosing another destination.

use ratatui::crossterm::event::{KeyCode, KeyEvent};
use schema::{StoredPathBuf, output::EntryKind};

use crate::{
    app::{App, Over},
    rows::Rows,
};

impl App {
    /// Shows the destinations, where there are several.
    pub(crate) fn ask_destination(&mut self) {
        if self.destinations.len() < 2 {
            self.message = Some("no other destination is configured".to_owned());
            return;
        }
        let mut rows = Rows::default();
        let mut all = self.destinations.iter();
        let shown = all.position(|one| Some(&one.name) == self.shown_destination());
        rows.chosen = shown.unwrap_or_default();
        self.over = Over::Destinations(rows);
    }

    /// The one that is shown.
    pub(crate) fn shown_destination(&self) -> Option<&String> {
        self.overview.good()?.destination.as_ref()
    }

    pub(crate) fn take_destination_key(&mut self, key: KeyEvent) {
        let Over::Destinations(rows) = &mut self.over else {
            return;
        };
        let all = self.destinations.len();
        match key.code {
            KeyCode::Down | KeyCode::Char('j') => rows.step(1, all),
            KeyCode::Up | KeyCode::Char('k') => rows.step(-1, all),
            KeyCode::Enter => self.go_to_destination(),
            KeyCode::Esc | KeyCode::Char('q' | 'o') => self.over = Over::Nothing,
            _ => {}
        }
    }

    /// Leaves this one for the one that is chosen.
    pub(crate) fn go_to_destination(&mut self) {
        let Over::Destinations(rows) = &self.over else {
            return;
        };
        let chosen = self.destinations.get(rows.chosen);
        let chosen = chosen.map(|one| one.name.clone());
        self.over = Over::Nothing;
        if chosen.as_ref() != self.shown_destination() {
            self.is_over = chosen.is_some();
            self.elsewhere = chosen;
        }
    }

    /// The path to show there first: what is looked at here.
    pub(crate) fn looked_at(&self) -> Option<StoredPathBuf> {
        let file = self.item().filter(|item| item.kind != EntryKind::Folder);
        let path = match file {
            Some(_) => self.chosen_path()?,
            None => self.at.clone(),
        };
        (!path.is_root()).then_some(path)
    }
}
