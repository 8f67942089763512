//! What a deletion takes away for good, the same in plans and in reports.

use schema::{ExpireReason, plan::Deletion};

use super::{amount, page::unbroken};

/// The bytes that a deletion frees, the files that no other snapshot has, and why it is made.
pub(super) fn describe_deletion(deletion: &Deletion) -> String {
    format!("{}: {}", describe_loss(deletion), deletion.reason)
}

fn describe_loss(deletion: &Deletion) -> String {
    let least = match deletion.lost {
        Some(lost) if lost.at_least => "at least ",
        _ => "",
    };
    let frees = unbroken(&amount::bytes(deletion.frees));
    // Nothing is lost of what the cloud has.
    if deletion.reason == ExpireReason::InTheCloud {
        return format!("frees {least}{frees}");
    }
    let files = match deletion.lost.and_then(|lost| lost.files) {
        None => String::new(),
        Some(0) if least.is_empty() => ", and no file is only there".to_owned(),
        Some(0) => ", and perhaps files that no other has".to_owned(),
        Some(files) => format!(
            ", {least}{} that no other has",
            unbroken(&amount::plural(files, "file", "files"))
        ),
    };
    format!("frees {least}{frees}{files}")
}
