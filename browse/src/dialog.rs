//! Where restored files are to go.

use std::collections::BTreeMap;

use ratatui::crossterm::event::{KeyCode, KeyEvent};
use schema::StoredPathBuf;

use crate::{
    action::{Action, Target},
    input::Input,
    search::Search,
};

/// A question before a restore.
#[derive(Debug)]
pub(crate) struct RestoreDialog {
    /// What of which snapshot.
    pub(crate) from: BTreeMap<String, Vec<StoredPathBuf>>,
    pub(crate) in_place: bool,
    pub(crate) folder: Input,
    /// The search that it was asked from, which goes on behind it.
    pub(crate) search: Option<Search>,
}

/// What a key came to.
pub(crate) enum Answered {
    /// It is still asked.
    NotYet,
    /// Nothing is to be done.
    No,
    Yes(Action),
}

impl RestoreDialog {
    pub(crate) fn new(from: BTreeMap<String, Vec<StoredPathBuf>>, here: &str) -> Self {
        Self {
            from,
            in_place: false,
            folder: Input::of(here),
            search: None,
        }
    }

    pub(crate) fn take(&mut self, key: KeyEvent) -> Answered {
        match key.code {
            KeyCode::Esc => return Answered::No,
            KeyCode::Tab | KeyCode::BackTab | KeyCode::Up | KeyCode::Down => {
                self.in_place = !self.in_place;
            }
            KeyCode::Enter if self.in_place || !self.folder.text().trim().is_empty() => {
                return Answered::Yes(Action::Restore {
                    from: self.from.clone(),
                    target: match self.in_place {
                        true => Target::InPlace,
                        false => Target::Folder(self.folder.text().to_owned()),
                    },
                });
            }
            _ if !self.in_place => {
                self.folder.take(key);
            }
            _ => {}
        }
        Answered::NotYet
    }
}
