//! Refusals of sources that overlap: each other, or with the destination.

use schema::{
    Finding,
    inventory::{ResolvedLocation, SourceState},
    path::rest_below,
};

use super::{
    code,
    finding::{note, refusal},
};
use crate::facts::Facts;

/// A source, and where it really is.
type Placed<'a> = (&'a SourceState, &'a ResolvedLocation);

/// That no source is, or is inside, another or the destination.
pub(super) fn check_overlaps(
    facts: &Facts<'_>,
    sources: &[&SourceState],
    findings: &mut Vec<Finding>,
) {
    let placed: Vec<Placed<'_>> = sources
        .iter()
        .filter_map(|source| Some((*source, source.place.as_ref()?)))
        .collect();
    check_each_other(&placed, findings);
    check_against_destination(facts, &placed, findings);
}

/// That no source is, or is inside, another.
fn check_each_other(placed: &[Placed<'_>], findings: &mut Vec<Finding>) {
    for (at, (one, here)) in placed.iter().enumerate() {
        for (other, there) in &placed[at + 1..] {
            let (one, other) = (&one.path, &other.path);
            let (code, message) = match relation(here, there) {
                Relation::Apart => continue,
                Relation::Same => (
                    code::SOURCE_TWICE,
                    format!("{one} and {other} (local.sources) are the same file or folder"),
                ),
                Relation::Inside => (
                    code::SOURCE_INSIDE_SOURCE,
                    format!("{one} is really inside {other} (local.sources)"),
                ),
                Relation::Around => (
                    code::SOURCE_INSIDE_SOURCE,
                    format!("{other} is really inside {one} (local.sources)"),
                ),
            };
            findings.push(refusal(code, message).hint("remove one of them from local.sources"));
        }
    }
}

/// That no source is, or is inside, the destination.
fn check_against_destination(
    facts: &Facts<'_>,
    placed: &[Placed<'_>],
    findings: &mut Vec<Finding>,
) {
    let Some((destination, there)) = facts
        .destination
        .and_then(|found| Some((&found.mount_point, found.place.as_ref()?)))
    else {
        return;
    };
    for (source, here) in placed {
        let source = &source.path;
        // From what is around the destination it is left out.
        let how = match relation(here, there) {
            Relation::Apart => continue,
            Relation::Around => {
                findings.push(note(
                    code::DESTINATION_LEFT_OUT,
                    format!(
                        "{destination} (local.mountPoint) is inside {source} (local.sources) and \
                         left out"
                    ),
                ));
                continue;
            }
            Relation::Same => "is",
            Relation::Inside => "is really inside",
        };
        findings.push(
            refusal(
                code::SOURCE_OVERLAPS_DESTINATION,
                format!(
                    "{source} (local.sources) {how} {destination} (local.mountPoint), so the \
                     backup would hold itself"
                ),
            )
            .hint("move the destination to another drive, or choose other local.sources"),
        );
    }
}

enum Relation {
    Apart,
    Same,
    Inside,
    Around,
}

/// How the first place lies to the second.
fn relation(one: &ResolvedLocation, other: &ResolvedLocation) -> Relation {
    // Each subvolume is a file system of its own, with inode numbers of its own.
    if one.device != other.device || one.subvolume != other.subvolume {
        return Relation::Apart;
    }
    if one.inode == other.inode || one.within == other.within {
        Relation::Same
    } else if is_below(&one.within, &other.within) {
        Relation::Inside
    } else if is_below(&other.within, &one.within) {
        Relation::Around
    } else {
        Relation::Apart
    }
}

/// Whether a path lies below another, which must be a whole number of its components.
pub(super) fn is_below(path: &str, above: &str) -> bool {
    rest_below(path.as_bytes(), above.as_bytes()).is_some_and(|rest| !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::is_below;

    #[test]
    fn a_path_is_below_another_by_whole_components_only() {
        for (path, above, expected) in [
            ("/home/ann", "/home", true),
            ("/home", "/", true),
            ("/home2", "/home", false),
            ("/home", "/home", false),
            ("/", "/", false),
            ("/", "/home", false),
        ] {
            assert_eq!(is_below(path, above), expected, "{path} {above}");
        }
    }
}
