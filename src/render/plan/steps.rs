//! What each kind of step says of itself.
//!
//! One function per kind. Nothing here may decide: amounts are the plan's and the inventory's.

use schema::{
    Inventory, Plan, SnapshotId,
    config::OnPreBackupFailure,
    inventory::{Presence, SourceState},
    plan::{
        Action, AnnounceStep, Channel, DestinationCheckStep, MarkStep, NotifyStep, RepairFrom,
        RepairStep, RestoreStep, ScriptStep, SnapshotStep, SourceStep, SpaceCheckStep, host_of,
    },
    record::Engine,
};

use super::{INDENT, cloud, rotation};
use crate::{
    render::{
        amount,
        page::{Page, configured, firm, first_few, path},
    },
    style::{Style, printable, width},
};

/// Columns of the word that says what is done.
pub(super) const VERB: usize = 8;

/// What a step will do.
pub(super) fn body(
    page: &mut Page,
    action: &Action,
    plan: &Plan,
    inventory: &Inventory,
    style: &Style,
) {
    match action {
        Action::PreScript(step) => script(page, step, true),
        Action::PostScript(step) => script(page, step, false),
        Action::DestinationCheck(step) => destination_check(page, step),
        Action::SpaceCheck(step) => space_check(page, step, inventory, style),
        Action::Snapshot(step) => snapshot(page, step, inventory),
        Action::Delete(step) => rotation::deletes(page, step, style),
        Action::Rotate(step) => rotation::body(page, step, plan, style),
        Action::CloudSync(step) => cloud::body(page, step, style),
        Action::Announce(step) => announce(page, step),
        Action::Notify(step) => notify(page, step),
        Action::Restore(step) => restore(page, step, style),
        Action::Mark(step) => mark(page, step),
        Action::Repair(step) => repair(page, step),
        Action::Adopt(step) => page.raw(&super::super::adopt::step(step)),
    }
}

/// A line that begins with what is done.
pub(super) fn say(page: &mut Page, verb: &str, text: &str) {
    page.entry(INDENT, verb, VERB, text);
}

fn script(page: &mut Page, step: &ScriptStep, before: bool) {
    let failure = match (before, step.on_failure) {
        (false, _) => "whatever the result of the run",
        (true, OnPreBackupFailure::Abort) => "a failure ends the run",
        (true, OnPreBackupFailure::Warn) => "a failure is only reported",
    };
    let program = configured(&step.program);
    let text = format!(
        "{program}, for at most {}; {failure}",
        firm(&step.timeout.to_string())
    );
    say(page, "run", &text);
}

fn destination_check(page: &mut Page, step: &DestinationCheckStep) {
    let mount_point = configured(&step.mount_point);
    let folder = firm(&printable(&step.folder));
    let mut wanted = Vec::new();
    if step.require_mount {
        wanted.push("mounted".to_owned());
    }
    if let Some(uuid) = &step.file_system_uuid {
        wanted.push(format!("file system {uuid}"));
    }
    if step.need_hard_links {
        wanted.push("with hard links".to_owned());
    }
    let wanted = if wanted.is_empty() {
        "is there".to_owned()
    } else {
        format!("is right: {}", wanted.join(", "))
    };
    say(page, "check", &format!("that {mount_point} {wanted}"));
    if step.create {
        let who = if step.readable_by_users {
            "readable by users"
        } else {
            "for its owner only"
        };
        say(page, "create", &format!("{mount_point}/{folder}, {who}"));
    }
    let id = &step.destination_id;
    if step.remember {
        let text = format!("destination {id} from now on, and no disk that is not known");
        say(page, "trust", &text);
    } else if !step.create {
        say(page, "expect", &format!("destination {id}"));
    }
}

fn space_check(page: &mut Page, step: &SpaceCheckStep, inventory: &Inventory, style: &Style) {
    let destination = inventory.destination.as_ref();
    let trashed = |id: SnapshotId| {
        destination
            .and_then(|found| found.trash.iter().find(|left| left.id == id))
            .map_or_else(String::new, |left| {
                format!(" (frees {})", firm(&amount::bytes(left.bytes)))
            })
    };
    for id in &step.empty_trash {
        let text = format!("{id}: its removal was begun before{}", trashed(*id));
        say(page, &style.red("remove"), &text);
    }
    for left in &step.discard_partial {
        let text = format!(
            "the unfinished {}: {} (frees {})",
            left.id,
            printable(&left.reason),
            firm(&amount::bytes(left.frees))
        );
        say(page, &style.red("remove"), &text);
    }
    let inodes = step.needed_inodes.map_or_else(String::new, |inodes| {
        format!(" and {}", firm(&amount::plural(inodes, "inode", "inodes")))
    });
    let text = format!(
        "at most {}{inodes} for the snapshot; {} stay free besides",
        firm(&amount::bytes(step.needed_bytes)),
        firm(&amount::bytes(step.min_free_bytes)),
    );
    say(page, "need", &text);
}

fn snapshot(page: &mut Page, step: &SnapshotStep, inventory: &Inventory) {
    let engine = match step.engine {
        Engine::BuiltIn => "the built-in engine".to_owned(),
        Engine::Adopted => "what another tool made".to_owned(),
        Engine::Rsync => step.rsync.as_ref().map_or_else(
            || "rsync".to_owned(),
            |rsync| firm(&format!("rsync {}", printable(&rsync.version))),
        ),
    };
    say(page, "make", &format!("{} with {engine}", step.id));
    if let Some(partial) = step.continue_from {
        let found = inventory.destination.as_ref();
        let there = found
            .and_then(|found| found.partial.iter().find(|left| left.id == partial))
            .map_or_else(String::new, |left| {
                format!(
                    ", which has {} and {}",
                    amount::plural(left.entries, "entry", "entries"),
                    firm(&amount::bytes(left.bytes))
                )
            });
        say(page, "resume", &format!("the unfinished {partial}{there}"));
    }
    let paths = step
        .sources
        .iter()
        .map(|source| width(source.path.as_str()));
    let columns = paths.max().unwrap_or(0).min(28) + 2;
    for source in &step.sources {
        let state = inventory
            .sources
            .iter()
            .find(|state| state.path == source.path);
        let text = of_source(source, state);
        let label = format!("{:VERB$}{}", "from", configured(&source.path));
        page.entry(INDENT, &label, VERB + columns, &text);
    }
    if !step.exclude_patterns.is_empty() {
        let patterns: Vec<String> = step
            .exclude_patterns
            .iter()
            .map(|pattern| firm(&printable(pattern)))
            .collect();
        say(page, "except", &first_few(&patterns, 12));
    }
    let expected = &step.expected;
    let text = format!(
        "{}, at most {}",
        amount::plural(expected.new_files, "file", "files"),
        firm(&amount::bytes(expected.new_bytes))
    );
    say(page, "copy", &text);
    match &step.basis {
        Some(basis) => {
            let unchanged = expected.files.saturating_sub(expected.new_files);
            let moved = match expected.moved_files {
                0 => String::new(),
                moved => format!(", {} of them moved,", amount::count(moved)),
            };
            let text = format!(
                "{}{moved} to {}/{}",
                amount::plural(unchanged, "unchanged file", "unchanged files"),
                basis.home,
                basis.id
            );
            say(page, "link", &text);
        }
        None => {
            let mut can = inventory.destination.iter();
            let no_links = can.any(|there| there.capabilities().is_some_and(|can| !can.hard_links));
            let why = if no_links {
                "nothing: the destination has no hard links"
            } else {
                "nothing: there is no snapshot to link to"
            };
            say(page, "link", why);
        }
    }
}

fn of_source(source: &SourceStep, state: Option<&SourceState>) -> String {
    let Some(state) = state else {
        return if source.present { "" } else { "not there" }.to_owned();
    };
    match &state.presence {
        Presence::Present => {}
        Presence::Missing => return "not there".to_owned(),
        Presence::Unreadable { because } => return format!("unreadable: {}", printable(because)),
    }
    let scan = &state.scan;
    let mut text = format!(
        "{}, {}; new: {}, {}",
        firm(&amount::plural(scan.files, "file", "files")),
        firm(&amount::bytes(scan.bytes)),
        amount::count(scan.new_files),
        firm(&amount::bytes(scan.new_bytes)),
    );
    if scan.unreadable > 0 {
        text += &format!("; {} unreadable", amount::count(scan.unreadable));
    }
    if scan.excluded > 0 {
        text += &format!("; {} left out", amount::count(scan.excluded));
    }
    let mounts = state.mounts_passed_over.len() as u64;
    if mounts > 0 {
        text += &format!(
            "; {} passed over",
            amount::plural(mounts, "mount", "mounts")
        );
    }
    text
}

fn announce(page: &mut Page, step: &AnnounceStep) {
    say(
        page,
        "ping",
        &format!("healthcheck at {}: started", printable(host_of(&step.url))),
    );
}

fn notify(page: &mut Page, step: &NotifyStep) {
    let what = match (step.on_success, step.on_failure) {
        (true, true) => "every result",
        (true, false) => "a complete backup",
        (false, true) => "a failure",
        (false, false) => "nothing",
    };
    for channel in &step.channels {
        let of = match channel {
            Channel::Healthcheck { .. } => "every result",
            _ => what,
        };
        say(
            page,
            "tell",
            &format!("{} of {of}", printable(&channel.name())),
        );
    }
}

fn restore(page: &mut Page, step: &RestoreStep, style: &Style) {
    let from = if step.path.is_empty() {
        format!("all of {}", step.folder)
    } else {
        format!("{}/{}", step.folder, path(&step.path))
    };
    say(page, "copy", &from);
    say(page, "to", &path(&step.target));
    let text = format!(
        "{} ({}); {} there already",
        amount::plural(step.creates, "entry", "entries"),
        firm(&amount::bytes(step.bytes)),
        amount::plural(step.already_there, "entry is", "entries are"),
    );
    say(page, "create", &text);
    if step.conflict_count == 0 {
        return;
    }
    let differ = amount::plural(
        step.conflict_count,
        "entry that differs",
        "entries that differ",
    );
    if step.overwrite {
        let text = format!(
            "{differ}; the old stay beside with {}",
            firm(&step.aside_suffix)
        );
        say(page, &style.yellow("replace "), &text);
    } else {
        say(
            page,
            "leave",
            &format!("{differ} (--overwrite replaces them)"),
        );
    }
    for conflict in step.conflicts.iter().take(10) {
        page.line(INDENT + VERB, &path(conflict));
    }
    let more = step
        .conflict_count
        .saturating_sub(step.conflicts.len().min(10) as u64);
    if more > 0 {
        page.line(INDENT + VERB, &format!("and {} more", amount::count(more)));
    }
}

fn repair(page: &mut Page, step: &RepairStep) {
    for records in &step.records {
        let text = format!(
            "the damaged manifest or record of {}, from its files and its neighbours",
            records.id
        );
        say(page, "renew", &text);
    }
    for file in &step.files {
        let Some(first) = file.names.first() else {
            continue;
        };
        let from = match &file.from {
            RepairFrom::Source { .. } => "its source".to_owned(),
            RepairFrom::Stored { name } if name == &first.name => "itself".to_owned(),
            RepairFrom::Stored { name } => {
                format!("/{} in {}", path(&name.path), name.snapshot)
            }
        };
        let names = amount::plural(file.names.len() as u64, "name", "names");
        let text = format!("/{} under {names}, from {from}", path(&first.name.path));
        say(page, "renew", &text);
    }
    for folder in &step.folders {
        let text = format!(
            "the metadata of /{} in {}",
            path(&folder.name.path),
            folder.name.snapshot
        );
        say(page, "mend", &text);
    }
}

fn mark(page: &mut Page, step: &MarkStep) {
    match step {
        MarkStep::Pin { id } => say(page, "pin", &format!("{id}: kept whatever retention says")),
        MarkStep::Unpin { id } => say(page, "unpin", &format!("{id}: retention decides again")),
        MarkStep::Accept { id } => {
            say(
                page,
                "accept",
                &format!("{id}: it is as it should be, and counts from now on"),
            );
        }
    }
}
