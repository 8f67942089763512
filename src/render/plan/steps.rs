//! What each kind of step says of itself.
//!
//! One function per kind. Nothing here may decide: amounts are the plan's and the inventory's.

use schema::{
    Gone, Inventory, LeftOut, Plan, SnapshotId,
    config::OnPreBackupFailure,
    inventory::{DestinationState, Presence, SourceState},
    plan::{
        Action, AnnounceStep, Channel, DestinationCheckStep, MarkStep, NotifyStep, RepairFrom,
        RepairStep, RestoreStep, ScriptStep, SnapshotStep, SourceStep, SpaceCheckStep,
        healthcheck_name,
    },
    record::Engine,
};

use super::{
    cloud,
    lines::{INDENT, VERB, add_verb},
    rotation,
};
use crate::{
    render::{
        adopt, amount,
        left_out::describe_left_out,
        page::{Page, configured_path, first_few, readable_path, unbroken},
    },
    style::{Style, printable, width},
};

/// Adds what a step will do.
pub(super) fn add_action(
    page: &mut Page,
    action: &Action,
    plan: &Plan,
    inventory: &Inventory,
    style: &Style,
) {
    match action {
        Action::PreScript(step) => add_script(page, step, true),
        Action::PlanAgain => add_verb(
            page,
            "plan",
            "what follows, with the destination and the sources as the pre-script leaves them",
        ),
        Action::PostScript(step) => add_script(page, step, false),
        Action::DestinationCheck(step) => add_destination_check(page, step),
        Action::SpaceCheck(step) => add_space_check(page, step, inventory, style),
        Action::Snapshot(step) => add_snapshot(page, step, inventory),
        Action::Delete(step) => rotation::add_deletions(page, step, style),
        Action::Rotate(step) => rotation::add_rotation(page, step, plan, style),
        Action::CloudSync(step) => {
            if step.live.is_some() {
                add_left_out(page, inventory);
            }
            cloud::add_cloud_sync(page, step, style);
        }
        Action::Upload(step) => {
            if step.from.is_empty() {
                add_left_out(page, inventory);
            }
            cloud::add_upload(page, step);
        }
        Action::Expire(step) => cloud::add_expiry(page, step, true, style),
        Action::Announce(step) => add_announcement(page, step),
        Action::Notify(step) => add_notification(page, step),
        Action::Restore(step) => add_restore(page, step, style),
        Action::Mark(step) => add_mark(page, step),
        Action::RemoteMark(step) => add_mark(page, &step.mark),
        Action::Repair(step) => add_repair(page, step),
        Action::Adopt(step) => page.raw(&adopt::adoption_preview(step)),
    }
}

pub(super) fn add_script(page: &mut Page, step: &ScriptStep, before: bool) {
    let failure = match (before, step.on_failure) {
        (false, _) => "whatever the result of the run",
        (true, OnPreBackupFailure::Abort) => "a failure ends the run",
        (true, OnPreBackupFailure::Warn) => "a failure is only reported",
    };
    let program = configured_path(&step.program);
    let text = format!(
        "{program}, for at most {}; {failure}",
        unbroken(&step.timeout.to_string())
    );
    add_verb(page, "run", &text);
}

fn add_destination_check(page: &mut Page, step: &DestinationCheckStep) {
    let mount_point = configured_path(&step.mount_point);
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
    add_verb(page, "check", &format!("that {mount_point} {wanted}"));
    add_creation(page, step);
    if let Some(view) = &step.user_view {
        let text = format!(
            "snapshots to users, read-only, at {}",
            unbroken(&printable(view))
        );
        add_verb(page, "show", &text);
    }
    add_trust(page, step);
    if !step.remember && !step.create {
        add_verb(
            page,
            "expect",
            &format!("destination {}", step.destination_id),
        );
    }
}

/// Adds the folder that is made for the snapshots, if one is.
pub(super) fn add_creation(page: &mut Page, step: &DestinationCheckStep) {
    if step.create {
        let mount_point = configured_path(&step.mount_point);
        let folder = unbroken(&printable(&step.folder));
        let created = format!("{mount_point}/{folder}, for its owner only");
        add_verb(page, "create", &created);
    }
}

/// Adds the destination that is trusted from now on, if one is.
pub(super) fn add_trust(page: &mut Page, step: &DestinationCheckStep) {
    if step.remember {
        let id = &step.destination_id;
        let text = format!("destination {id} from now on, and no disk that is not known");
        add_verb(page, "trust", &text);
    }
}

fn add_space_check(page: &mut Page, step: &SpaceCheckStep, inventory: &Inventory, style: &Style) {
    add_removals(page, step, inventory, style);
    let inodes = step.needed_inodes.map_or_else(String::new, |inodes| {
        format!(
            " and {}",
            unbroken(&amount::plural(inodes, "inode", "inodes"))
        )
    });
    let text = format!(
        "at most {}{inodes} for the snapshot; {} stay free besides",
        unbroken(&amount::bytes(step.needed_bytes)),
        unbroken(&amount::bytes(step.min_free_bytes)),
    );
    add_verb(page, "need", &text);
}

/// Adds what was begun to be removed, or to be made, and goes now.
pub(super) fn add_removals(
    page: &mut Page,
    step: &SpaceCheckStep,
    inventory: &Inventory,
    style: &Style,
) {
    let destination = inventory.destination.as_ref();
    let trashed = |id: SnapshotId| {
        destination
            .and_then(|found| found.trash.iter().find(|left| left.id == id))
            .map_or_else(String::new, |left| {
                format!(" (frees {})", unbroken(&amount::bytes(left.bytes)))
            })
    };
    for id in &step.empty_trash {
        let text = format!("{id}: its removal was begun before{}", trashed(*id));
        add_verb(page, &style.red("remove"), &text);
    }
    for left in &step.discard_partial {
        let text = format!(
            "the unfinished {}: {} (frees {})",
            left.id,
            printable(&left.reason),
            unbroken(&amount::bytes(left.frees))
        );
        add_verb(page, &style.red("remove"), &text);
    }
}

fn add_snapshot(page: &mut Page, step: &SnapshotStep, inventory: &Inventory) {
    let engine = match step.engine {
        Engine::BuiltIn if is_instead_of_rsync(inventory) => {
            "the built-in engine, as rsync is slower over a network".to_owned()
        }
        Engine::BuiltIn => "the built-in engine".to_owned(),
        Engine::Adopted => "what another tool made".to_owned(),
        Engine::Rsync => step.rsync.as_ref().map_or_else(
            || "rsync".to_owned(),
            |rsync| unbroken(&format!("rsync {}", printable(&rsync.version))),
        ),
    };
    add_verb(page, "make", &format!("{} with {engine}", step.id));
    add_resumed(page, step, inventory);
    add_sources(page, step, inventory);
    if !step.exclude_patterns.is_empty() {
        let patterns: Vec<String> = step
            .exclude_patterns
            .iter()
            .map(|pattern| unbroken(&printable(pattern)))
            .collect();
        add_verb(page, "except", &first_few(&patterns, 12));
    }
    add_left_out(page, inventory);
    let expected = &step.expected;
    let text = format!(
        "{}, at most {}",
        amount::plural(expected.new_files, "file", "files"),
        unbroken(&amount::bytes(expected.new_bytes))
    );
    add_verb(page, "copy", &text);
    add_content_from(page, step);
    add_verb(page, "link", &describe_links(step, inventory));
    add_gone(page, expected.gone.as_ref());
}

/// Adds from where content comes that need not be read of the sources once more.
pub(super) fn add_content_from(page: &mut Page, step: &SnapshotStep) {
    let mut from = step.content_from.iter();
    let from: Vec<&str> = from.by_ref().map(|one| one.of.as_str()).collect();
    if !from.is_empty() {
        let text = format!(
            "what {} was given of slow sources in this run",
            from.join(", else ")
        );
        add_verb(page, "reuse", &text);
    }
}

/// Adds what the basis has and the sources have no more.
pub(super) fn add_gone(page: &mut Page, gone: Option<&Gone>) {
    if let Some(gone) = gone {
        let text = format!(
            "{} ({}) from the sources, {}",
            amount::plural(gone.files, "file", "files"),
            unbroken(&amount::bytes(gone.bytes)),
            gone.place(|path| unbroken(&printable(path)))
        );
        add_verb(page, "gone", &text);
    }
}

/// Adds the unfinished snapshot that is taken over, if one is.
pub(super) fn add_resumed(page: &mut Page, step: &SnapshotStep, inventory: &Inventory) {
    if let Some(partial) = step.continue_from {
        let found = inventory.destination.as_ref();
        let there = found
            .and_then(|found| found.partial.iter().find(|left| left.id == partial))
            .map_or_else(String::new, |left| {
                format!(
                    ", which has {} and {}",
                    amount::plural(left.entries, "entry", "entries"),
                    unbroken(&amount::bytes(left.bytes))
                )
            });
        add_verb(page, "resume", &format!("the unfinished {partial}{there}"));
    }
}

/// Whether rsync was asked for, which is looked for only then, and is not what copies over a network.
fn is_instead_of_rsync(inventory: &Inventory) -> bool {
    let there = inventory.destination.as_ref();
    inventory.rsync.is_some() && there.is_some_and(DestinationState::is_over_a_network)
}

/// Adds what tags in folders of the sources leave out.
pub(super) fn add_left_out(page: &mut Page, inventory: &Inventory) {
    let found = inventory.sources.iter();
    let mut all = LeftOut::default();
    for left_out in found.filter_map(|source| source.left_out.as_ref()) {
        all.add(left_out);
    }
    if all != LeftOut::default() {
        add_verb(page, "except", &describe_left_out(&all));
    }
}

/// Adds what is taken from each source.
fn add_sources(page: &mut Page, step: &SnapshotStep, inventory: &Inventory) {
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
        let text = describe_source(source, state);
        let label = format!("{:VERB$}{}", "from", configured_path(&source.path));
        page.entry(INDENT, &label, VERB + columns, &text);
    }
}

/// What is linked to the basis.
pub(super) fn describe_links(step: &SnapshotStep, inventory: &Inventory) -> String {
    let Some(basis) = &step.basis else {
        let mut can = inventory.destination.iter();
        let no_links = can.any(|there| there.capabilities().is_some_and(|can| !can.hard_links));
        let why = if no_links {
            "nothing: the destination has no hard links"
        } else {
            "nothing: there is no snapshot to link to"
        };
        return why.to_owned();
    };
    let expected = &step.expected;
    let unchanged = expected.files.saturating_sub(expected.new_files);
    let moved = match expected.moved_files {
        0 => String::new(),
        moved => format!(", {} of them moved,", amount::count(moved)),
    };
    let there = inventory.destination.as_ref();
    let clones = there.and_then(|there| there.capabilities());
    let how = match clones.is_some_and(|can| can.clones) {
        true => ", by a clone of it",
        false => "",
    };
    format!(
        "{}{moved} to {}/{}{how}",
        amount::plural(unchanged, "unchanged file", "unchanged files"),
        basis.home,
        basis.id
    )
}

fn describe_source(source: &SourceStep, state: Option<&SourceState>) -> String {
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
        unbroken(&amount::plural(scan.files, "file", "files")),
        unbroken(&amount::bytes(scan.bytes)),
        amount::count(scan.new_files),
        unbroken(&amount::bytes(scan.new_bytes)),
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

fn add_announcement(page: &mut Page, step: &AnnounceStep) {
    add_verb(
        page,
        "ping",
        &format!(
            "{}: started",
            printable(&healthcheck_name(
                step.url.as_deref(),
                step.url_file.as_ref()
            ))
        ),
    );
}

fn add_notification(page: &mut Page, step: &NotifyStep) {
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
        add_verb(
            page,
            "tell",
            &format!("{} of {of}", printable(&channel.name())),
        );
    }
}

fn add_restore(page: &mut Page, step: &RestoreStep, style: &Style) {
    let from = if step.path.is_empty() {
        format!("all of {}", step.folder)
    } else {
        format!("{}/{}", step.folder, readable_path(&step.path))
    };
    add_verb(page, "copy", &from);
    add_verb(page, "to", &readable_path(&step.target));
    let text = format!(
        "{} ({}); {} there already",
        amount::plural(step.creates, "entry", "entries"),
        unbroken(&amount::bytes(step.bytes)),
        amount::plural(step.already_there, "entry is", "entries are"),
    );
    add_verb(page, "create", &text);
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
            unbroken(&step.aside_suffix)
        );
        add_verb(page, &style.yellow("replace "), &text);
    } else {
        add_verb(
            page,
            "leave",
            &format!("{differ} (--overwrite replaces them)"),
        );
    }
    for conflict in step.conflicts.iter().take(10) {
        page.line(INDENT + VERB, &readable_path(conflict));
    }
    let more = step
        .conflict_count
        .saturating_sub(step.conflicts.len().min(10) as u64);
    if more > 0 {
        page.line(INDENT + VERB, &format!("and {} more", amount::count(more)));
    }
}

fn add_repair(page: &mut Page, step: &RepairStep) {
    for records in &step.records {
        let text = format!(
            "the damaged manifest or record of {}, from its files and its neighbours",
            records.id
        );
        add_verb(page, "renew", &text);
    }
    for file in &step.files {
        let Some(first) = file.names.first() else {
            continue;
        };
        let from = match &file.from {
            RepairFrom::Source { .. } => "its source".to_owned(),
            RepairFrom::Stored { name } if name == &first.name => "itself".to_owned(),
            RepairFrom::Stored { name } => {
                format!("/{} in {}", readable_path(&name.path), name.snapshot)
            }
        };
        let names = amount::plural(file.names.len() as u64, "name", "names");
        let text = format!(
            "/{} under {names}, from {from}",
            readable_path(&first.name.path)
        );
        add_verb(page, "renew", &text);
    }
    for folder in &step.folders {
        let text = format!(
            "the metadata of /{} in {}",
            readable_path(&folder.name.path),
            folder.name.snapshot
        );
        add_verb(page, "mend", &text);
    }
}

fn add_mark(page: &mut Page, step: &MarkStep) {
    match step {
        MarkStep::Pin { id } => {
            add_verb(page, "pin", &format!("{id}: kept whatever retention says"))
        }
        MarkStep::Unpin { id } => {
            add_verb(page, "unpin", &format!("{id}: retention decides again"))
        }
        MarkStep::Accept { id } => {
            add_verb(
                page,
                "accept",
                &format!("{id}: it is as it should be, and counts from now on"),
            );
        }
    }
}
