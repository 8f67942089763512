//! Who was notified, as people read it.

use schema::journal::NotifiedChannel;

use super::{hint, page::Page};
use crate::style::{Style, left, printable};

/// One entry for each channel, with what to do about those that failed.
pub(crate) fn notified_lines(notified: &[NotifiedChannel], style: &Style) -> String {
    let mut page = Page::default();
    for one in notified {
        let mark = if one.ok {
            style.green("ok")
        } else {
            style.red("FAILED")
        };
        page.entry(0, &left(&mark, 8), 8, &printable(&one.message));
        if let Some(hint) = &one.hint {
            hint::add(&mut page, 8, hint);
        }
    }
    page.into_string()
}
