//! What Back In Time makes: `backintime/HOST/USER/PROFILE/20250116-020000-123/backup`, with the sources
//! as they are below `/` in the last folder, and what it knows of them beside it.

use std::ffi::{OsStr, OsString};

use chrono::{DateTime, FixedOffset};
use rustix::io::Errno;
use schema::{
    escape::{display, escape, unescape},
    plan::{AdoptCandidate, MadeBy},
};

use super::candidates::{Looked, candidate_tree, named_by_date};
use crate::{
    error::{Error, Result},
    sys::{Dir, Kind, bytes},
};

/// The folder in each of its snapshots that has the content.
const CONTENT: &str = "backup";
/// What stands beside it where it could not copy all.
const FAILED: &str = "failed";
/// The folder that it makes at the place that it is given.
const TOP: &str = "backintime";
/// Folders between the place that people give it and the snapshots: that one, host, user and profile.
const DEEPEST: usize = 4;
/// Profiles that are named.
const NAMED: usize = 5;
/// Folders that are looked into: elsewhere there may be any number.
const MOST: usize = 1000;

/// The time that a name of its snapshots says, such as `20250116-020000-123`: day, time, and three digits
/// that tell machines apart.
pub(super) fn named_by_it(name: &OsStr) -> Option<DateTime<FixedOffset>> {
    let (time, tag) = name.to_str()?.rsplit_once('-')?;
    let is_tag = tag.len() == 3 && tag.bytes().all(|byte| byte.is_ascii_digit());
    (is_tag && time.len() == "20250116-020000".len())
        .then(|| named_by_date(OsStr::new(time)))
        .flatten()
}

/// The tree of one of its snapshots; none where it has no content.
pub(super) fn tree_of(
    dir: &Dir,
    name: &OsStr,
    from: &str,
    made_at: DateTime<FixedOffset>,
) -> std::result::Result<Option<AdoptCandidate>, Errno> {
    let inner = dir.folder(name)?;
    let content = OsStr::new(CONTENT);
    if inner
        .look(content)?
        .is_none_or(|found| found.kind != Kind::Folder)
    {
        return Ok(None);
    }
    let from = format!("{from}/{CONTENT}");
    let mut tree = candidate_tree(&inner, content, from, made_at, MadeBy::BackInTime)?;
    tree.with_errors = inner.look(OsStr::new(FAILED))?.is_some();
    Ok(Some(tree))
}

/// Looks into the one profile that is somewhere below a folder in which nothing else was found.
pub(super) fn look_for_profile(root: Dir, mut looked: Looked) -> Result<Looked> {
    let given = looked.root.clone();
    let shown = || display(&unescape(&given).unwrap_or_default());
    let io = |error: Errno| Error::io("look at", shown().as_bytes(), error);
    let mut profiles: Vec<(Vec<OsString>, Dir)> = Vec::new();
    let top = root.folder(OsStr::new(TOP));
    let mut waiting = match top {
        Ok(top) => vec![(vec![OsString::from(TOP)], top)],
        Err(_) => vec![(Vec::new(), root)],
    };
    let mut seen = 0;
    while let Some((way, dir)) = waiting.pop() {
        // Whose it is may keep others out of it.
        let Ok(names) = dir.names() else {
            continue;
        };
        if names.iter().any(|name| named_by_it(name).is_some()) {
            profiles.push((way, dir));
            continue;
        }
        for name in names {
            seen += 1;
            if way.len() == DEEPEST || seen > MOST {
                break;
            }
            if let Ok(inner) = dir.folder(&name) {
                let way = way.iter().cloned().chain([name]).collect();
                waiting.push((way, inner));
            }
        }
    }
    let path = |way: &[OsString]| {
        let names = way.iter().map(|name| format!("/{}", escape(bytes(name))));
        names.fold(given.clone(), |path, name| path + &name)
    };
    match profiles.as_slice() {
        [] => Ok(looked),
        [(way, dir)] => {
            looked.root = path(way);
            looked.folder(dir, "", None, io)?;
            Ok(looked)
        }
        many => {
            let mut paths: Vec<String> = many
                .iter()
                .map(|(way, _)| display(&unescape(path(way)).unwrap_or_default()))
                .collect();
            paths.sort();
            paths.truncate(NAMED);
            let message = format!("{} holds several profiles of Back In Time", shown());
            let hint = format!("adopt the one that is meant: {}", paths.join(" or "));
            Err(Error::refused(message).hint(hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_names_are_known() {
        let found = named_by_it(OsStr::new("20250116-020304-123")).unwrap();
        assert_eq!(found.naive_local().to_string(), "2025-01-16 02:03:04");
        for name in [
            "20250116-020304",
            "20250116-020304-12",
            "20250116-020304-1234",
            "20250116-020304-12a",
            "20251316-020304-123",
            "2025-01-16-020304-123",
            "new_snapshot",
        ] {
            assert_eq!(named_by_it(OsStr::new(name)), None, "{name}");
        }
    }
}
