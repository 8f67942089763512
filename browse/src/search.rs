//! Searching as somebody types.

use crate::{
    data::{Fault, FoundPath, Read},
    input::Input,
    request::MOST_FOUND,
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
