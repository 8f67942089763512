//! Where restored files are to go.

use ratatui::crossterm::event::{KeyCode, KeyEvent};
use schema::StoredPathBuf;

use crate::{
    action::{Action, Target},
    input::Input,
};

/// A question before a restore.
#[derive(Debug)]
pub(crate) struct RestoreDialog {
    pub(crate) snapshot: String,
    pub(crate) paths: Vec<StoredPathBuf>,
    pub(crate) in_place: bool,
    pub(crate) folder: Input,
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
    pub(crate) fn new(snapshot: String, paths: Vec<StoredPathBuf>, here: &str) -> Self {
        Self {
            snapshot,
            paths,
            in_place: false,
            folder: Input::of(here),
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
                    snapshot: self.snapshot.clone(),
                    paths: self.paths.clone(),
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
