//! A comparison over the whole screen.

use ratatui::crossterm::event::{KeyCode, KeyEvent};
use schema::{StoredPath, StoredPathBuf};

use crate::{compare::Comparison, data::Read, rows::Rows};

/// What is read of a comparison.
pub(crate) struct Viewer {
    pub(crate) path: StoredPathBuf,
    pub(crate) comparison: Option<Read<Comparison>>,
    /// The line at the top of what is seen.
    pub(crate) rows: Rows,
    /// Columns that are out of sight on the left.
    pub(crate) shift: usize,
}

impl Viewer {
    pub(crate) fn of(path: StoredPathBuf) -> Self {
        Self {
            path,
            comparison: None,
            rows: Rows::default(),
            shift: 0,
        }
    }

    pub(crate) fn show(&mut self, path: &StoredPath, comparison: Read<Comparison>) {
        if *self.path == *path {
            self.comparison = Some(comparison);
        }
    }

    pub(crate) fn length(&self) -> usize {
        match &self.comparison {
            Some(Ok(comparison)) => comparison.rows.len(),
            _ => 0,
        }
    }

    /// Takes a key; whether it is to stay.
    pub(crate) fn take(&mut self, key: KeyEvent) -> bool {
        let all = self.length();
        let page = self.rows.page();
        match key.code {
            KeyCode::Esc | KeyCode::Char('q' | 'd') => return false,
            KeyCode::Down | KeyCode::Char('j') => self.rows.step(1, all),
            KeyCode::Up | KeyCode::Char('k') => self.rows.step(-1, all),
            KeyCode::PageDown | KeyCode::Char(' ') => self.rows.step(page, all),
            KeyCode::PageUp => self.rows.step(-page, all),
            KeyCode::Home | KeyCode::Char('g') => self.rows.chosen = 0,
            KeyCode::End | KeyCode::Char('G') => self.rows.chosen = all.saturating_sub(1),
            KeyCode::Right | KeyCode::Char('l') => self.shift += 8,
            KeyCode::Left | KeyCode::Char('h') => self.shift = self.shift.saturating_sub(8),
            KeyCode::Char(word @ ('n' | 'p')) => {
                if let Some(Ok(comparison)) = &self.comparison {
                    let found = comparison.next_change(self.rows.chosen, word == 'n');
                    self.rows.chosen = found.unwrap_or(self.rows.chosen);
                }
            }
            _ => {}
        }
        true
    }
}
