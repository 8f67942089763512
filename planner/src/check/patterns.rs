//! Rules about `local.excludePatterns`.
//!
//! The meaning of a pattern is `schema::pattern`'s; here stands which one is not valid, and which one
//! surely means something else than whoever wrote it thinks.

use schema::{Config, StoredPath, pattern::Pattern};

use super::finding::RuleFinding;

/// Patterns that rsync would not take as an exclude.
pub(super) fn invalid(config: &Config) -> Vec<RuleFinding> {
    let patterns = config.local.exclude_patterns.iter().enumerate();
    patterns
        .filter_map(|(index, text)| Some((index, text.parse::<Pattern>().err()?)))
        .map(|(index, error)| {
            RuleFinding::new(format!("local.excludePatterns[{index}]"), error.to_string())
                .expected("a pattern such as \"*.tmp\" or \"/cache/\"")
                .hint("write `local.excludePatterns` with a valid pattern here, or remove this one")
        })
        .collect()
}

/// Names that no entry of a folder can have.
pub(super) fn invalid_names(config: &Config) -> Vec<RuleFinding> {
    let names = config.local.exclude_if_present.iter().enumerate();
    names
        .filter(|(_, name)| matches!(name.as_str(), "" | "." | "..") || name.contains(['/', '\0']))
        .map(|(index, name)| {
            RuleFinding::new(
                format!("local.excludeIfPresent[{index}]"),
                format!("{name:?} is the name of no entry of a folder"),
            )
            .expected("a name without `/`, such as \".nobackup\"")
            .hint("write the name of the entry alone; paths belong to `local.excludePatterns`")
        })
        .collect()
}

/// Patterns that are valid and look like something that a pattern is not.
pub(super) fn odd(config: &Config) -> Vec<RuleFinding> {
    let patterns = config.local.exclude_patterns.iter().enumerate();
    patterns
        .filter_map(|(index, text)| Some((index, oddity(text)?)))
        .map(|(index, (problem, hint))| {
            RuleFinding::new(format!("local.excludePatterns[{index}]"), problem).hint(hint)
        })
        .collect()
}

/// What a pattern looks like that it is not, and what to write instead.
pub(crate) fn oddity(text: &str) -> Option<(&'static str, &'static str)> {
    let full_path = "write the full path, such as \"/home/ann/Downloads\", or \"/home/*/Downloads\" for \
                     every user";
    let first = text.chars().next()?;
    Some(if text.trim() != text {
        (
            "begins or ends with a blank, which is a part of the pattern",
            "take the blank away, unless such names are meant",
        )
    } else if first == '~' && (text.len() == 1 || text.contains('/')) {
        (
            "`~` is a character like any other here: no home folder takes its place",
            full_path,
        )
    } else if has_variable(text) {
        (
            "`$` is a character like any other here: no variable is put in its place",
            full_path,
        )
    } else if has_choice(text) {
        (
            "`{`, `,` and `}` are characters like any other here: there is no choice in braces",
            "write one pattern for each",
        )
    } else if first == '#' {
        (
            "is no comment: it leaves out names that begin with `#`",
            "remove it, unless such names are meant",
        )
    } else if first == '!' {
        (
            "takes no other pattern back: it leaves out names that begin with `!`",
            "remove it, and leave out less with the others",
        )
    } else if text.split('/').any(|name| name == "." || name == "..") || text.contains("//") {
        (
            "matches nothing: no path has `.`, `..` or nothing for a name",
            "write the path without them",
        )
    } else {
        return None;
    })
}

/// `$NAME` or `${NAME}`.
fn has_variable(text: &str) -> bool {
    let mut after = text.split('$').skip(1);
    after.any(|rest| {
        rest.starts_with(|next: char| next == '{' || next == '_' || next.is_ascii_alphabetic())
    })
}

/// `{a,b}`.
fn has_choice(text: &str) -> bool {
    let inside = text
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'));
    inside.is_some_and(|(inside, _)| inside.contains(','))
}

/// Patterns that name a source, or a folder above all of it, by its full path: a source is never left out
/// by a pattern.
pub(super) fn of_whole_sources(config: &Config) -> Vec<RuleFinding> {
    let local = &config.local;
    let patterns = local.exclude_patterns.iter().enumerate();
    patterns
        .filter_map(|(index, text)| {
            let path = StoredPath::of_absolute(text.strip_suffix('/').unwrap_or(text));
            if !text.starts_with('/') || path.is_root() {
                return None;
            }
            let mut sources = local.sources.iter().map(|source| source.as_stored());
            if sources.clone().any(|source| path.is_below(source)) {
                return None;
            }
            let source = sources.find(|source| source.is_within(path))?;
            let finding = RuleFinding::new(
                format!("local.excludePatterns[{index}]"),
                format!(
                    "does not leave out {}, which is in `local.sources`: a source is never left out \
                     by a pattern",
                    source.shown()
                ),
            );
            Some(
                finding
                    .hint("take it out of `local.sources`, or this pattern away")
                    .with(&["local.sources"]),
            )
        })
        .collect()
}
