//! What a plan says of the copy in the cloud: what goes there, what is kept aside, what stops it.

use schema::{config::SyncMode, plan::CloudSyncStep};

use super::lines::add_verb;
use crate::{
    render::{
        amount,
        page::{Page, unbroken},
    },
    style::{Style, printable},
};

/// Adds what the step will do.
pub(super) fn add_cloud_sync(page: &mut Page, step: &CloudSyncStep, style: &Style) {
    let remote = unbroken(&printable(&step.remote));
    let what = if step.live.is_some() {
        format!("the live sources, as {},", step.snapshot)
    } else {
        step.snapshot.to_string()
    };
    add_verb(page, "copy", &format!("{what} to {remote}"));
    let expected = &step.expected;
    let since = step.last.map_or_else(
        || "nothing is known to be there".to_owned(),
        |last| format!("since the upload of {last}"),
    );
    let text = format!(
        "{}, at most {}; {since}",
        amount::plural(expected.upload_files, "file", "files"),
        unbroken(&amount::bytes(expected.upload_bytes)),
    );
    add_verb(page, "upload", &text);
    let removes = step.mode != SyncMode::Copy;
    let gone = if removes { expected.gone_files } else { 0 };
    let aside = expected.replaced_files + gone;
    if aside > 0 {
        let text = format!(
            "{} at most that are replaced or gone, in history/{}",
            amount::plural(aside, "old file", "old files"),
            step.snapshot
        );
        add_verb(page, "keep", &text);
    }
    match &step.limits.max_delete {
        Some(limit) => {
            let text = format!(
                "if more than {} of the remote's files would go (cloud.maxDelete)",
                unbroken(&limit.to_string())
            );
            add_verb(page, "refuse", &text);
        }
        None if removes => add_verb(page, "allow", "any number of files to go: a person agreed"),
        None => add_verb(page, "remove", "nothing there"),
    }
    for id in &step.expire {
        let text = format!("the history of {id}: older than cloud.keepHistoryDays");
        add_verb(page, &style.red("remove"), &text);
    }
    for gone in &step.give_back {
        let text = format!(
            "{}/{} here, once the remote was checked: {} (frees {})",
            gone.home,
            gone.id,
            gone.reason,
            unbroken(&amount::bytes(gone.frees))
        );
        add_verb(page, &style.red("delete"), &text);
    }
}
