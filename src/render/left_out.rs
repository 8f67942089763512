//! What tags in folders leave out, in a line.

use schema::LeftOut;

use super::page::unbroken;
use crate::style::printable;

/// How much is left out, and most of it where.
pub(crate) fn describe_left_out(left_out: &LeftOut) -> String {
    let much = unbroken(&left_out.bytes_text());
    let folders = left_out.folders_text();
    let most = unbroken(&printable(&left_out.most));
    match left_out.caches.saturating_add(left_out.folders) {
        1 => format!("{much} in {folders}, {most}"),
        _ => format!("{much} in {folders}, most in {most}"),
    }
}
