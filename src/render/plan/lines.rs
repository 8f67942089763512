//! The lines below a step's name: a word for what is done, and what it is done to.

use schema::{SnapshotId, Tier};

use crate::{render::page::Page, style::left};

/// Columns that the text below a step's name stands further in.
pub(super) const INDENT: usize = 3;

/// Columns of the word that says what is done.
pub(super) const VERB: usize = 8;

/// Columns of that word, an id and a tier.
const SNAPSHOT: usize = VERB + 19 + 2 + 7 + 2;

/// Adds a line that begins with what is done.
pub(super) fn add_verb(page: &mut Page, verb: &str, text: &str) {
    page.entry(INDENT, verb, VERB, text);
}

/// Adds a line that begins with what is done to which snapshot, of the tier that holds it.
pub(super) fn add_snapshot_verb(
    page: &mut Page,
    verb: &str,
    (id, home): (SnapshotId, Tier),
    text: &str,
) {
    let label = format!("{}{id}  {home}", left(verb, VERB));
    page.entry(INDENT, &label, SNAPSHOT, text);
}
