//! What deletions take away for good, the same in plans and in reports.

use planner::DeletionGroup;
use schema::{
    ExpireReason,
    plan::{Deletion, Lost},
};

use super::{amount, page::unbroken};

/// The bytes that a deletion frees, the files that no other snapshot has, and why it is made.
pub(super) fn describe_deletion(deletion: &Deletion) -> String {
    // Nothing is lost of what the cloud has.
    let is_elsewhere = deletion.reason == ExpireReason::InTheCloud;
    let loss = describe_loss(deletion.frees, deletion.lost, is_elsewhere);
    format!("{loss}: {}", deletion.reason)
}

/// The same of many that are made for one reason.
pub(super) fn describe_group(group: &DeletionGroup) -> String {
    let is_elsewhere = group.because == ExpireReason::InTheCloud.to_string();
    let loss = describe_loss(group.frees, Some(group.lost), is_elsewhere);
    let (first, last) = group.between;
    format!("from {first} to {last}, {loss}: {}", group.because)
}

fn describe_loss(frees: u64, lost: Option<Lost>, is_elsewhere: bool) -> String {
    let least = match lost {
        Some(lost) if lost.at_least => "at least ",
        _ => "",
    };
    let frees = unbroken(&amount::bytes(frees));
    if is_elsewhere {
        return format!("frees {least}{frees}");
    }
    let files = match lost.and_then(|lost| lost.files) {
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
