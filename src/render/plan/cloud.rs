//! What a plan says of the copy in the cloud: what goes there, what is kept aside, what stops it.

use planner::TOLD_ONE_BY_ONE;
use schema::{
    ExpireReason, SnapshotId,
    config::SyncMode,
    plan::{CloudSyncStep, ExpireStep, Lost, RemoteExpiry, UploadFeed, UploadStep},
};

use super::lines::add_verb;
use crate::{
    render::{
        amount,
        deletion::describe_group,
        page::{Page, unbroken},
    },
    style::{Style, printable},
};

/// Adds what the step will do.
pub(super) fn add_cloud_sync(page: &mut Page, step: &CloudSyncStep, style: &Style) {
    let remote = unbroken(&printable(&step.remote));
    let what = match (&step.live, step.from.as_slice()) {
        (Some(_), _) => format!("the live sources, as {},", step.snapshot),
        (None, []) => step.snapshot.to_string(),
        (None, from) => describe_feeds(from),
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
    add_what_is_kept(page, step);
    add_guard(page, step);
    add_what_goes(page, step, style);
}

/// Adds what goes to a remote with history: what is there already is found before anything is put.
pub(super) fn add_upload(page: &mut Page, step: &UploadStep) {
    let remote = unbroken(&printable(&step.call.remote));
    let what = match step.from.as_slice() {
        [] => format!("the live sources, as {},", step.snapshot),
        from => describe_feeds(from),
    };
    let or_live = match (step.from.as_slice(), &step.live) {
        ([_, ..], Some(_)) => ", or the sources as they are where no disk has a new snapshot",
        _ => "",
    };
    add_verb(page, "upload", &format!("{what} to {remote}"));
    add_verb(page, "", &format!("what it does not have yet{or_live}"));
}

/// Adds what a remote with history lets go, and what it loses for good: each with its reason, or all in one.
pub(super) fn add_expiry(page: &mut Page, step: &ExpireStep, is_whole: bool, style: &Style) {
    let days = amount::plural(step.keep_days.into(), "day", "days");
    let count = step.expire.len();
    if count > 0 {
        let text = format!(
            "{}; all of it stays there for {days}",
            amount::plural(count as u64, "snapshot", "snapshots")
        );
        add_verb(page, &style.red("let go"), &text);
        add_expiries(page, &step.expire, is_whole);
    }
    if !step.withheld.is_empty() {
        let count = amount::plural(step.withheld.len() as u64, "snapshot", "snapshots");
        add_verb(
            page,
            "keep",
            &format!("{count} there until a person agrees"),
        );
        add_expiries(page, &step.withheld, is_whole);
    }
    if !step.sweep.is_empty() {
        let text = format!(
            "for good, let go over {days} ago: {}",
            amount::plural(step.sweep.len() as u64, "snapshot", "snapshots"),
        );
        add_verb(page, &style.red("delete"), &text);
        let each = step.sweep.iter().map(|one| (one.id, None, one.lost));
        add_losses(page, &each.collect::<Vec<_>>(), step.swept(), is_whole);
    }
}

fn add_expiries(page: &mut Page, expire: &[RemoteExpiry], is_whole: bool) {
    let each = expire
        .iter()
        .map(|one| (one.id, Some(&one.reason), one.lost));
    let sum = ExpireStep::lost_with(expire);
    add_losses(page, &each.collect::<Vec<_>>(), sum, is_whole);
}

/// Adds why each goes and what goes with it, and what that comes to.
fn add_losses(
    page: &mut Page,
    each: &[(SnapshotId, Option<&ExpireReason>, Option<Lost>)],
    sum: Lost,
    is_whole: bool,
) {
    let shown = if is_whole {
        each.len()
    } else {
        TOLD_ONE_BY_ONE
    };
    for (id, reason, lost) in each.iter().take(shown) {
        let reason = reason.map_or_else(String::new, |reason| format!("{reason}; "));
        let lost = lost.map_or_else(
            || "what only it has is not known here".to_owned(),
            |lost| unbroken(&lost.to_string()),
        );
        add_verb(page, "", &format!("{id}: {reason}{lost}"));
    }
    if each.len() > shown {
        add_verb(page, "", &format!("and {} more", each.len() - shown));
    }
    if each.len() > 1 {
        add_verb(page, "", &format!("in all {}", unbroken(&sum.to_string())));
    }
}

/// Which snapshot it is, of the first disk that has it.
fn describe_feeds(from: &[UploadFeed]) -> String {
    let from: Vec<String> = from.iter().map(describe_feed).collect();
    from.join(", else ")
}

/// Which snapshot of a disk that is.
fn describe_feed(feed: &UploadFeed) -> String {
    let of = &feed.of;
    match (feed.snapshot, feed.last) {
        (Some(id), _) => format!("{id} of {of}"),
        (None, Some(id)) => format!("{id} of {of}, the newest good one"),
        (None, None) => format!("nothing of {of}"),
    }
}

/// Adds what of the old is kept aside there, if anything is.
pub(super) fn add_what_is_kept(page: &mut Page, step: &CloudSyncStep) {
    let expected = &step.expected;
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
}

/// Adds from how many deletions on a person is asked.
pub(super) fn add_guard(page: &mut Page, step: &CloudSyncStep) {
    let removes = step.mode != SyncMode::Copy;
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
}

/// Adds what is removed there, and what is deleted here because it is there.
fn add_what_goes(page: &mut Page, step: &CloudSyncStep, style: &Style) {
    for id in &step.expire {
        add_expired(page, &format!("the history of {id}"), style);
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

/// The same, of which much of one reason is told in one line.
pub(super) fn add_what_goes_together(page: &mut Page, step: &CloudSyncStep, style: &Style) {
    let mut few = step.clone();
    if step.expire.len() > TOLD_ONE_BY_ONE
        && let (Some(first), Some(last)) = (step.expire.iter().min(), step.expire.iter().max())
    {
        let count = amount::count(step.expire.len() as u64);
        let text = format!("the history of {count} uploads, from {first} to {last}");
        add_expired(page, &text, style);
        few.expire.clear();
    }
    if let Some(groups) = planner::group_deletions(&step.give_back) {
        for group in &groups {
            let count = amount::plural(group.count, "snapshot", "snapshots");
            let text = format!(
                "{count} here, once the remote was checked, {}",
                describe_group(group)
            );
            add_verb(page, &style.red("delete"), &text);
        }
        few.give_back.clear();
    }
    add_what_goes(page, &few, style);
}

fn add_expired(page: &mut Page, what: &str, style: &Style) {
    let text = format!("{what}: older than cloud.keepHistoryDays");
    add_verb(page, &style.red("remove"), &text);
}
