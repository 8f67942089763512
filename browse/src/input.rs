//! A line that is typed.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use schema::outside;

/// A line of text, and where in it the next letter comes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Input {
    text: String,
    /// In bytes.
    at: usize,
}

impl Input {
    /// A line that is there already.
    pub(crate) fn of(text: impl Into<String>) -> Self {
        let text = text.into();
        let at = text.len();
        Self { text, at }
    }

    /// What was typed.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What stands before the cursor.
    pub(crate) fn before(&self) -> &str {
        &self.text[..self.at]
    }

    /// What was typed, as a terminal can show it, and what of it stands before the cursor.
    pub(crate) fn shown(&self) -> [String; 2] {
        [self.text(), self.before()].map(outside::one_line)
    }

    /// Takes a key; whether the text is another one now.
    pub(crate) fn take(&mut self, key: KeyEvent) -> bool {
        let with_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('u') if with_control => {
                self.text.drain(..self.at);
                self.at = 0;
            }
            KeyCode::Char('a') if with_control => self.at = 0,
            KeyCode::Char('e') if with_control => self.at = self.text.len(),
            KeyCode::Char(_) if with_control => return false,
            KeyCode::Char(letter) if !letter.is_control() => {
                self.text.insert(self.at, letter);
                self.at += letter.len_utf8();
                return true;
            }
            KeyCode::Backspace => {
                let Some(last) = self.before().chars().next_back() else {
                    return false;
                };
                self.at -= last.len_utf8();
                self.text.remove(self.at);
                return true;
            }
            KeyCode::Delete if self.at < self.text.len() => {
                self.text.remove(self.at);
                return true;
            }
            KeyCode::Left => {
                let last = self.before().chars().next_back();
                self.at -= last.map_or(0, char::len_utf8);
            }
            KeyCode::Right => {
                let next = self.text[self.at..].chars().next();
                self.at += next.map_or(0, char::len_utf8);
            }
            KeyCode::Home => self.at = 0,
            KeyCode::End => self.at = self.text.len(),
            _ => return false,
        }
        with_control && key.code == KeyCode::Char('u')
    }

    /// Takes a text that was pasted, without its line ends.
    pub(crate) fn paste(&mut self, text: &str) {
        let text: String = text.chars().filter(|letter| !letter.is_control()).collect();
        self.text.insert_str(self.at, &text);
        self.at += text.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_all_lengths_are_typed_and_taken_back() {
        let mut input = Input::default();
        let mut press = |code, modifiers| {
            input.take(KeyEvent::new(code, modifiers));
            format!(
                "{}|{}",
                input.before(),
                &input.text()[input.before().len()..]
            )
        };
        let none = KeyModifiers::NONE;
        for letter in "grö日".chars() {
            press(KeyCode::Char(letter), none);
        }
        assert_eq!(press(KeyCode::Left, none), "grö|日");
        assert_eq!(press(KeyCode::Backspace, none), "gr|日");
        assert_eq!(press(KeyCode::Delete, none), "gr|");
        assert_eq!(press(KeyCode::Home, none), "|gr");
        assert_eq!(press(KeyCode::Backspace, none), "|gr");
        assert_eq!(press(KeyCode::End, none), "gr|");
        assert_eq!(press(KeyCode::Char('u'), KeyModifiers::CONTROL), "|");
        assert_eq!(press(KeyCode::Char('x'), KeyModifiers::CONTROL), "|");
        input.paste("a\nb");
        assert_eq!(input.text(), "ab");
    }
}
