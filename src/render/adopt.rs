//! What an adoption would do, in lines.
//!
//! Owns the words only.

use executor::adopt::Looked;
use schema::{escape, plan::AdoptStep};

use super::{
    amount,
    page::{Page, readable_path, unbroken},
};

/// What becomes what.
pub(crate) fn adoption_preview(step: &AdoptStep) -> String {
    let mut page = Page::default();
    page.line(0, &format!("adopt from {}:", readable_path(&step.root)));
    for tree in &step.trees {
        let at = escape::unescape(&tree.at).unwrap_or_default();
        let at = match at.as_slice() {
            b"" => String::new(),
            at => format!(
                ", its content at {}",
                unbroken(&format!("/{}", escape::display(at)))
            ),
        };
        page.line(
            2,
            &format!(
                "{} becomes {}/{} ({}{at})",
                readable_path(&tree.from),
                tree.home,
                tree.id,
                unbroken(tree.made_by.name())
            ),
        );
    }
    page.line(
        0,
        &format!(
            "{} and renamed; nothing is copied or deleted",
            amount::plural(
                step.trees.len() as u64,
                "folder is read for its manifest",
                "folders are read for their manifests"
            )
        ),
    );
    page.into_string()
}

/// What is left alone, and why.
pub(crate) fn passed_over_lines(looked: &Looked) -> String {
    let mut page = Page::default();
    for (from, because) in &looked.passed_over {
        page.line(
            0,
            &format!("left alone: {}: {because}", readable_path(from)),
        );
    }
    page.into_string()
}
