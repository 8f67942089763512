//! Which lines of a manifest a pattern means, judged before any of them is parsed.
//!
//! The longest text that every match must contain is looked for in whole chunks; only lines that
//! have it in their path are shown to the matcher.

use std::borrow::Cow;

use memchr::{memchr, memmem::Finder, memrchr};
use schema::{
    escape::{escape, unescape},
    pattern::{Excludes, InvalidPattern},
};

/// A pattern over paths, ready to search manifests with.
pub struct Search {
    /// One pattern, with the meaning that excludes have, from the root of a snapshot.
    pattern: Excludes,
    /// What stands in the path of every line that can match, escaped as manifests have it.
    needle: Option<Finder<'static>>,
}

impl Search {
    /// Compiles a pattern as exclude patterns are: a name at any depth, with a `/` within the tail
    /// of a path, with one before it the whole path.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub fn pattern(text: &str) -> Result<Self, InvalidPattern> {
        let pattern = Excludes::new(&[text])?;
        let needle = needle(text).map(|text| Finder::new(text.as_bytes()).into_owned());
        Ok(Self { pattern, needle })
    }

    /// The same for a text in which `*`, `?` and `[` are characters like any other.
    ///
    /// # Errors
    /// What is wrong with it, as an empty one.
    pub fn fixed(text: &str) -> Result<Self, InvalidPattern> {
        if text.is_empty() {
            return Self::pattern(text);
        }
        // Only in a pattern with wildcards a backslash is an escape.
        let quoted = if text.contains(['*', '?', '[']) {
            let mut quoted = String::with_capacity(2 * text.len());
            for character in text.chars() {
                if matches!(character, '*' | '?' | '[' | '\\') {
                    quoted.push('\\');
                }
                quoted.push(character);
            }
            Cow::Owned(quoted)
        } else {
            Cow::Borrowed(text)
        };
        // The names `!` and `+ x` are written so.
        let pattern = Excludes::new(&[format!("- {quoted}")])?;
        let body = text.trim_matches('/');
        let needle = (!body.is_empty()).then(|| escaped(body));
        Ok(Self {
            pattern,
            needle: needle.map(|text| Finder::new(text.as_bytes()).into_owned()),
        })
    }

    /// Whether an entry is meant; the path is without a leading slash.
    #[must_use]
    pub fn matches(&self, path: &[u8], is_folder: bool) -> bool {
        self.pattern.matches(path, is_folder).is_some()
    }

    /// Gives each line that is meant, without its newline, until `each` says no.
    pub fn lines(&self, text: &[u8], each: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let mut at = 0;
        while at < text.len() {
            let near = match &self.needle {
                None => at,
                Some(needle) => match needle.find(&text[at..]) {
                    Some(found) => at + found,
                    None => return true,
                },
            };
            let start = memrchr(b'\n', &text[at..near]).map_or(at, |newline| at + newline + 1);
            let end = memchr(b'\n', &text[near..]).map_or(text.len(), |newline| near + newline);
            let line = &text[start..end];
            at = end + 1;
            let path = memchr(b' ', line).map_or(line.len(), |blank| blank);
            // Not in the path means in a link's target or in a value.
            if near - start < path && self.means(&line[..path], &line[path..]) && !each(line) {
                return false;
            }
        }
        true
    }

    fn means(&self, path: &[u8], words: &[u8]) -> bool {
        let Some(path) = path.strip_prefix(b"./") else {
            return false;
        };
        let path = match memchr(b'\\', path) {
            None => Cow::Borrowed(path),
            Some(_) => match unescape(path) {
                Some(path) => Cow::Owned(path),
                None => return false,
            },
        };
        self.matches(&path, words.starts_with(b" type=dir"))
    }
}

/// A text as it stands in manifests, where each name is escaped for itself.
fn escaped(text: &str) -> String {
    let parts: Vec<String> = text
        .split('/')
        .map(|part| escape(part.as_bytes()))
        .collect();
    parts.join("/")
}

/// The longest text between a pattern's wildcards; none where backslashes or sets make it hard to
/// say.
fn needle(pattern: &str) -> Option<String> {
    let body = pattern.strip_prefix("- ").unwrap_or(pattern);
    if body.contains(['\\', '[']) && body.contains(['*', '?', '[']) {
        return None;
    }
    body.split(['*', '?'])
        // A slash beside wildcards may stand for nothing at all.
        .map(|part| part.trim_matches('/'))
        .max_by_key(|part| part.len())
        .filter(|part| !part.is_empty())
        .map(escaped)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::manifest::Entry;

    fn text(paths: &[(&[u8], bool)]) -> Vec<u8> {
        let mut text = Vec::new();
        for (path, is_folder) in paths {
            let mut entry = Entry::from_line("./x type=file").unwrap();
            if *is_folder {
                entry = Entry::from_line("./x type=dir").unwrap();
            }
            entry.path = path.to_vec();
            entry.write_line(&mut text);
        }
        text
    }

    fn found(search: &Search, text: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        search.lines(text, &mut |line| {
            found.push(Entry::from_line(line).unwrap().path);
            true
        });
        found
    }

    #[test]
    fn names_tails_and_whole_paths_are_told_apart() {
        let text = text(&[
            (b"", true),
            (b"home", true),
            (b"home/ann", true),
            (b"home/ann/a b.txt", false),
            (b"home/ann/notes", true),
            (b"home/ann/notes/a b.txt", false),
            (b"home/ann/x*y", false),
            (b"home/ann/xzy", false),
            (b"notes", false),
        ]);
        let all = |search: Search| {
            let found = found(&search, &text);
            let text: Vec<String> = found
                .into_iter()
                .map(|path| String::from_utf8(path).unwrap())
                .collect();
            text.join(" | ")
        };
        let pattern = |text| all(Search::pattern(text).unwrap());
        let fixed = |text| all(Search::fixed(text).unwrap());
        assert_eq!(
            pattern("a b.txt"),
            "home/ann/a b.txt | home/ann/notes/a b.txt"
        );
        assert_eq!(pattern("notes/a b.txt"), "home/ann/notes/a b.txt");
        assert_eq!(pattern("/home/ann/*.txt"), "home/ann/a b.txt");
        assert_eq!(pattern("notes"), "home/ann/notes | notes");
        assert_eq!(pattern("notes/"), "home/ann/notes");
        assert_eq!(pattern("x*y"), "home/ann/x*y | home/ann/xzy");
        assert_eq!(fixed("x*y"), "home/ann/x*y");
        assert_eq!(fixed("/home/ann/x*y"), "home/ann/x*y");
        assert_eq!(pattern("home/***").split(" | ").count(), 7);
        assert!(Search::fixed("").is_err() && Search::pattern("").is_err());
    }

    proptest! {
        #[test]
        fn looking_for_a_text_first_finds_what_the_matcher_alone_finds(
            names in prop::collection::vec("[ab *\\\\é/]{1,6}", 1..12),
            pattern in "/?[ab *?\\\\é]{1,5}(/[ab*]{1,3})?/?",
        ) {
            let mut paths: Vec<Vec<u8>> = names
                .iter()
                .map(|name| {
                    let parts: Vec<&str> =
                        name.split('/').filter(|part| !part.is_empty()).collect();
                    parts.join("/").into_bytes()
                })
                .filter(|path| !path.is_empty())
                .collect();
            paths.sort();
            paths.dedup();
            let lines: Vec<(&[u8], bool)> =
                paths.iter().map(|path| (path.as_slice(), path.len() % 2 == 0)).collect();
            let text = text(&lines);
            let Ok(search) = Search::pattern(&pattern) else { return Ok(()) };
            let expected: Vec<Vec<u8>> = lines
                .iter()
                .filter(|(path, is_folder)| search.matches(path, *is_folder))
                .map(|(path, _)| path.to_vec())
                .collect();
            prop_assert_eq!(found(&search, &text), expected);
            // A name taken as it is finds itself.
            for path in &paths {
                let name = std::str::from_utf8(path).unwrap();
                let search = Search::fixed(&format!("/{name}")).unwrap();
                prop_assert_eq!(found(&search, &text), std::slice::from_ref(path));
            }
        }
    }
}
