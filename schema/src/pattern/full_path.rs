//! What a pattern that is a full path is below a source, for rsync, which knows paths below it only.
//!
//! Owns the splitting of such a pattern. What it matches is decided by the matcher; rsync hears of it so
//! that it does not copy what is left out afterwards.

use super::{LONGEST, glob::Glob};
use crate::{StoredPath, path::rest_below};

/// The anchored patterns that match below `source` what `pattern` matches as a path from `/`. None for a
/// pattern that is not anchored, for one that cannot match there, and for the source `/`, below which it
/// is what it is.
///
/// Where `**` stands for a part of the source's path there may be several; what rsync takes for
/// something else than meant is never more than what is left out.
pub(super) fn below(pattern: &str, source: &StoredPath) -> Vec<String> {
    let body = pattern.strip_prefix("- ").unwrap_or(pattern);
    let Some(body) = body.strip_prefix('/').filter(|_| !source.is_root()) else {
        return Vec::new();
    };
    let Ok(source) = std::str::from_utf8(source.as_bytes()) else {
        // An argument is text.
        return Vec::new();
    };
    let rests = if has_wildcard(body) {
        // A pattern that can match nothing is not to become one that can.
        let whole = body.strip_suffix('/').unwrap_or(body);
        match Glob::compile(whole.as_bytes()) {
            Some(_) => rests_of_glob(body, source),
            None => Vec::new(),
        }
    } else {
        let rest = rest_below(body.as_bytes(), source.as_bytes());
        let rest = rest.and_then(|rest| std::str::from_utf8(rest).ok());
        rest.map(str::to_owned).into_iter().collect()
    };
    let anchored = rests.into_iter().map(|rest| format!("/{rest}"));
    anchored
        .filter(|rest| rest.len() > 1 && rest.len() <= LONGEST)
        .collect()
}

/// What is left of a pattern once its beginning has matched the source and the `/` behind it.
fn rests_of_glob(body: &str, source: &str) -> Vec<String> {
    let mut rests = Vec::new();
    let above = format!("{source}/");
    let places = body.char_indices().map(|(at, _)| at);
    for at in places.chain([body.len()]) {
        let (head, rest) = body.split_at(at);
        // Within a row of stars nothing is to be split.
        if rest.starts_with('*') && head.ends_with('*') {
            continue;
        }
        let matches =
            Glob::compile(head.as_bytes()).is_some_and(|glob| glob.matches_all(above.as_bytes()));
        if !matches {
            continue;
        }
        if !rest.is_empty() && !rest.starts_with('/') {
            rests.push(in_rsyncs_words(rest));
        }
        if head.ends_with("**") {
            rests.push(format!("**{rest}"));
        }
    }
    rests
}

/// A backslash is an escape only in a pattern that has a wildcard: without one, what it escaped stands
/// for itself.
fn in_rsyncs_words(rest: &str) -> String {
    if has_wildcard(rest) {
        return rest.to_owned();
    }
    let mut text = String::new();
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.extend(characters.next()),
            _ => text.push(character),
        }
    }
    text
}

fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rests(pattern: &str, source: &str) -> Vec<String> {
        below(pattern, StoredPath::of_absolute(source))
    }

    #[test]
    fn a_full_path_is_told_as_what_it_is_below_the_source() {
        for (pattern, source, expected) in [
            ("/home/ann/vm", "/home", &["/ann/vm"][..]),
            ("/home/ann/vm/", "/home/ann", &["/vm/"]),
            ("/home/*/.cache", "/home", &["/*/.cache"]),
            ("/home/*/.cache", "/home/ann", &["/.cache"]),
            ("/h?me/[a-c]nn/x*", "/home/ann", &["/x*"]),
            (r"/home/*/a\b", "/home/ann", &["/ab"]),
            ("/home/**.iso", "/home/ann", &["/.iso", "/**.iso"]),
            ("/home/**/x", "/home/ann", &["/**/x", "/x"]),
            ("/**", "/home/ann", &["/**"]),
            ("/home/ann/***", "/home/ann", &["/***", "/**"]),
            ("/home/*", "/home/ann", &[]),
            // The source itself, what is above it, beside it, and what is no full path.
            ("/home/ann", "/home/ann", &[]),
            ("/home/ann/", "/home/ann", &[]),
            ("/home", "/home/ann", &[]),
            ("/homes/x", "/home", &[]),
            ("home/ann/x", "/home", &[]),
            ("/home/x", "/", &[]),
        ] {
            assert_eq!(rests(pattern, source), expected, "{pattern} in {source}");
        }
    }
}
