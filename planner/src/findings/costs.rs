//! Whose files cost most: what takes most of the room and the time of all, and files of holes.

use schema::{
    Finding, amount,
    inventory::{Cost, HollowFile, SourceState},
};

use super::{
    code,
    finding::{counted, first_few, note, warning},
};
use crate::facts::Facts;

/// Less than this to copy is nobody's burden.
const WORTH_TELLING: u64 = 1 << 20;

/// What takes most of what is to be copied, and files of holes.
pub(super) fn check_costs(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    for source in facts.sources() {
        findings.extend(describe_left_out(facts, source));
        findings.extend(describe_long(source));
    }
    findings.extend(costs_most(facts).map(|cost| {
        let all = facts.sources().map(|source| source.scan.new_bytes);
        let all = all.fold(0, u64::saturating_add).max(cost.bytes);
        note(
            code::COSTS_MOST,
            format!(
                "most of what is to be copied, {} of {}, is {} (user {})",
                amount::bytes(cost.bytes),
                amount::bytes(all),
                cost.path,
                cost.user
            ),
        )
    }));
}

/// What takes most of what is to be copied, if that is worth a word.
pub(super) fn costs_most<'a>(facts: &Facts<'a>) -> Option<&'a Cost> {
    let costs = facts
        .sources()
        .filter_map(|source| source.costs_most.as_ref());
    costs
        .max_by_key(|cost| cost.bytes)
        .filter(|cost| cost.bytes >= WORTH_TELLING)
}

fn describe_files(source: &SourceState, files: &[&HollowFile], count: u64) -> String {
    let each = files.iter().map(|file| {
        format!(
            "{}/{} ({} of {} are holes, user {})",
            source.path.as_str().trim_end_matches('/'),
            file.path,
            amount::bytes(file.holes),
            amount::bytes(file.bytes),
            file.user
        )
    });
    first_few(each, count)
}

/// That files are left out because the zeros in their holes would have to be read for hours.
fn describe_left_out(facts: &Facts<'_>, source: &SourceState) -> Option<Finding> {
    let count = source.scan.hollow;
    let listed = source.hollow.iter().filter(|file| file.left_out);
    let listed: Vec<&HollowFile> = listed.collect();
    (count > 0).then(|| {
        warning(
            code::FILES_OF_HOLES,
            format!(
                "{} of {} (local.sources) with more holes than are read in a run (local.maxHolesGB, \
                 {} for each owner) {} left out, so the backup will be incomplete: {}",
                counted(count, "file"),
                source.path,
                amount::bytes(facts.config.local.max_hole_bytes()),
                if count == 1 { "is" } else { "are" },
                describe_files(source, &listed, count)
            ),
        )
        .hint(
            "leave them out with local.excludePatterns, have their owner make them smaller \
             (`truncate`), or raise local.maxHolesGB: a tebibyte of holes takes a quarter of an hour",
        )
    })
}

/// That files of holes are read, which takes a while.
fn describe_long(source: &SourceState) -> Option<Finding> {
    let read = source.hollow.iter().filter(|file| !file.left_out);
    let read: Vec<&HollowFile> = read.collect();
    (!read.is_empty()).then(|| {
        note(
            code::HOLES_TAKE_LONG,
            format!(
                "the zeros in the holes of {} of {} (local.sources) have to be read, which takes \
                 minutes: {}",
                counted(read.len() as u64, "file"),
                source.path,
                describe_files(source, &read, read.len() as u64)
            ),
        )
    })
}
