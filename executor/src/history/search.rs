//! Finds the lines of a manifest that a pattern means, before any of them is parsed.
//!
//! The longest text that every match must contain is looked for in whole chunks; only lines that
//! have it in their path are shown to the matcher.

use std::borrow::Cow;

use aho_corasick::AhoCorasick;
use memchr::{memchr, memmem::Finder, memrchr};
use schema::{
    StoredPath, StoredPathBuf,
    escape::{escape, unescape},
    pattern::{Excludes, InvalidPattern},
};

/// A pattern over paths, ready to search manifests with.
pub struct Search {
    /// One pattern, with the meaning that excludes have, from the root of a snapshot.
    pattern: Excludes,
    /// What stands in the path of every line that can match, escaped as manifests have it.
    needle: Needle,
    /// Whether capitals and small letters are the same, in which case the pattern is in small ones.
    any_case: bool,
    /// The only path that can match, where there is no more than one.
    only: Option<StoredPathBuf>,
}

/// A text that is looked for before anything else.
enum Needle {
    /// There is none: all lines are judged.
    None,
    Exact(Box<Finder<'static>>),
    AnyCase(AhoCorasick),
}

impl Needle {
    fn exact(text: Option<String>) -> Self {
        text.map_or(Self::None, |text| {
            Self::Exact(Box::new(Finder::new(text.as_bytes()).into_owned()))
        })
    }

    /// Of these texts as they stand in names the longest part that is in ASCII and never escaped.
    fn any_case<'t>(texts: impl IntoIterator<Item = &'t [u8]>) -> Self {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-/".contains(byte);
        let parts = texts
            .into_iter()
            .flat_map(|text| text.split(move |byte| !plain(byte)));
        let longest = parts
            .map(without_slashes)
            .max_by_key(|part| part.len())
            .filter(|part| !part.is_empty());
        let mut builder = AhoCorasick::builder();
        let compiled = longest.and_then(|part| {
            let builder = builder.ascii_case_insensitive(true);
            builder.build([part]).ok()
        });
        compiled.map_or(Self::None, Self::AnyCase)
    }

    /// Where the next line that can match has it; none if there is no such line.
    fn find(&self, text: &[u8]) -> Option<usize> {
        match self {
            Self::None => Some(0),
            Self::Exact(finder) => finder.find(text),
            Self::AnyCase(finder) => finder.find(text).map(|found| found.start()),
        }
    }
}

impl Search {
    /// Compiles a pattern as exclude patterns are: a name at any depth, with a `/` within the tail
    /// of a path, with one before it the whole path.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub fn pattern(text: impl AsRef<[u8]>) -> Result<Self, InvalidPattern> {
        let text = text.as_ref();
        Ok(Self {
            pattern: Excludes::one(text)?,
            needle: Needle::exact(needle(text)),
            any_case: false,
            only: only_path(text).filter(|_| !has_wildcards(text)),
        })
    }

    /// As [`Self::pattern`], where capitals and small letters are the same.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub fn pattern_any_case(text: impl AsRef<[u8]>) -> Result<Self, InvalidPattern> {
        let text = folded_bytes(text.as_ref());
        Ok(Self {
            pattern: Excludes::one(&text)?,
            needle: Needle::any_case(texts(&text)),
            any_case: true,
            only: None,
        })
    }

    /// The same for a text in which `*`, `?` and `[` are characters like any other.
    ///
    /// # Errors
    /// What is wrong with it, as an empty one.
    pub fn fixed(text: impl AsRef<[u8]>) -> Result<Self, InvalidPattern> {
        let text = text.as_ref();
        let body = without_slashes(text);
        let needle = (!body.is_empty()).then(|| escaped(body));
        Ok(Self {
            pattern: quoted(text)?,
            needle: Needle::exact(needle),
            any_case: false,
            only: only_path(text),
        })
    }

    /// As [`Self::fixed`], where capitals and small letters are the same.
    ///
    /// # Errors
    /// What is wrong with it, as an empty one.
    pub fn fixed_any_case(text: impl AsRef<[u8]>) -> Result<Self, InvalidPattern> {
        let text = folded_bytes(text.as_ref());
        Ok(Self {
            pattern: quoted(&text)?,
            needle: Needle::any_case([text.as_slice()]),
            any_case: true,
            only: None,
        })
    }

    /// The only path that can match, where there is no more than one.
    pub(super) fn only_path(&self) -> Option<&StoredPath> {
        self.only.as_deref()
    }

    /// Whether an entry is meant; the path is without a leading slash.
    #[must_use]
    pub fn matches(&self, path: &[u8], is_folder: bool) -> bool {
        if self.any_case {
            let path = folded_bytes(path);
            return self.pattern.matches(&path, is_folder).is_some();
        }
        self.pattern.matches(path, is_folder).is_some()
    }

    /// Gives each line that is meant, without its newline, until `each` says no.
    pub fn lines(&self, text: &[u8], each: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let mut at = 0;
        while at < text.len() {
            let Some(found) = self.needle.find(&text[at..]) else {
                return true;
            };
            let near = at + found;
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

/// The path that a text means that begins at the root.
fn only_path(text: &[u8]) -> Option<StoredPathBuf> {
    let path = text.strip_prefix(b"/").map(without_slashes)?;
    (!path.is_empty()).then(|| path.to_vec().into())
}

/// A text without slashes at its ends.
fn without_slashes(text: &[u8]) -> &[u8] {
    let is_slash = |byte: &u8| *byte == b'/';
    let start = text.iter().position(|byte| !is_slash(byte));
    let end = text.iter().rposition(|byte| !is_slash(byte));
    start
        .zip(end)
        .map_or(b"", |(start, end)| &text[start..=end])
}

fn has_wildcards(text: &[u8]) -> bool {
    text.iter().any(|byte| b"*?[".contains(byte))
}

/// The pattern of a text that is taken as it is.
fn quoted(text: &[u8]) -> Result<Excludes, InvalidPattern> {
    if text.is_empty() {
        return Excludes::one(text);
    }
    // The names `!` and `+ x` are written so.
    let mut quoted = b"- ".to_vec();
    for byte in text {
        // Only in a pattern with wildcards a backslash is an escape.
        if has_wildcards(text) && b"*?[\\".contains(byte) {
            quoted.push(b'\\');
        }
        quoted.push(*byte);
    }
    Excludes::one(&quoted)
}

/// A text in small letters. Letters that would become ASCII, as the sign for kelvin would, stay: what
/// is ASCII then was a letter of ASCII before.
fn folded(text: &str) -> String {
    let mut small = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii() {
            small.push(character.to_ascii_lowercase());
        } else if character.to_lowercase().any(|small| small.is_ascii()) {
            small.push(character);
        } else {
            small.extend(character.to_lowercase());
        }
    }
    small
}

/// The same for a name, which may hold what is no text.
fn folded_bytes(name: &[u8]) -> Vec<u8> {
    let mut small = Vec::with_capacity(name.len());
    for part in name.utf8_chunks() {
        small.extend_from_slice(folded(part.valid()).as_bytes());
        small.extend_from_slice(part.invalid());
    }
    small
}

/// A text as it stands in manifests, where each name is escaped for itself.
fn escaped(text: &[u8]) -> String {
    let parts: Vec<String> = text.split(|byte| *byte == b'/').map(escape).collect();
    parts.join("/")
}

/// The longest text between a pattern's wildcards.
fn needle(pattern: &[u8]) -> Option<String> {
    texts(pattern)
        .max_by_key(|part| part.len())
        .filter(|part| !part.is_empty())
        .map(escaped)
}

/// The texts between a pattern's wildcards, up to the first set or escape, after which it is hard to
/// say what is text.
fn texts(pattern: &[u8]) -> impl Iterator<Item = &[u8]> {
    let body = pattern.strip_prefix(b"- ").unwrap_or(pattern);
    let end = if has_wildcards(body) {
        body.iter().position(|byte| b"\\[".contains(byte))
    } else {
        None
    };
    // A slash beside wildcards may stand for nothing at all.
    let parts = body[..end.unwrap_or(body.len())].split(|byte| b"*?".contains(byte));
    parts.map(without_slashes)
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
            entry.path = (*path).into();
            entry.write_line(&mut text);
        }
        text
    }

    fn found(search: &Search, text: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        search.lines(text, &mut |line| {
            found.push(Entry::from_line(line).unwrap().path.into_bytes());
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
        let any = |text| all(Search::pattern_any_case(text).unwrap());
        assert_eq!(pattern("Notes"), "");
        assert_eq!(any("Notes"), "home/ann/notes | notes");
        assert_eq!(any("/HOME/Ann/*.TXT"), "home/ann/a b.txt");
        let any = |text| all(Search::fixed_any_case(text).unwrap());
        assert_eq!(any("X*Y"), "home/ann/x*y");
        assert!(Search::fixed_any_case("").is_err());
        assert!(Search::fixed("").is_err() && Search::pattern("").is_err());
    }

    #[test]
    fn names_that_are_no_text_are_found() {
        let text = text(&[(b"home/caf\xe9.txt", false), (b"home/caf\xe9s", false)]);
        let name = b"home/caf\xe9.txt";
        for search in [
            Search::fixed(b"/home/caf\xe9.txt"),
            Search::pattern(b"caf\xe9.txt"),
            Search::pattern(b"caf\xe9*.txt"),
            Search::pattern_any_case(b"CAF\xe9.TXT"),
            Search::fixed_any_case(b"CAF\xe9.TXT"),
        ] {
            assert_eq!(found(&search.unwrap(), &text), [name]);
        }
        assert_eq!(
            found(&Search::pattern(b"caf\xe8.txt").unwrap(), &text),
            [b""; 0]
        );
    }

    #[test]
    fn capitals_are_small_letters_in_all_scripts_and_what_is_no_text_stays() {
        let names: [&[u8]; 5] = [
            "Größe.TXT".as_bytes(),
            "GRÖSSE.txt".as_bytes(),
            "grÖße.txt".as_bytes(),
            b"Gro\xdfe.txt",
            "\u{212a}elvin".as_bytes(),
        ];
        let text = text(&names.map(|name| (name, false)));
        let any = |text_of| found(&Search::pattern_any_case(text_of).unwrap(), &text);
        assert_eq!(any("GRÖßE.txt"), [names[0], names[2]]);
        assert_eq!(any("gro*.TXT"), [names[3]]);
        // The sign for kelvin is no letter of ASCII.
        assert_eq!(any("kelvin"), [b""; 0]);
        assert_eq!(any("\u{212a}ELVIN"), [names[4]]);
    }

    proptest! {
        #[test]
        fn looking_for_a_text_first_finds_what_the_matcher_alone_finds(
            names in prop::collection::vec("[ab *\\\\é\\[\\]/]{1,6}", 1..12),
            pattern in "/?[ab *?\\\\é]{1,5}(/[ab*]{1,3})?(\\[[ab^]{1,2}\\][ab*\\[]{0,2})?/?",
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
            // In capitals, too, if case does not count.
            let capitals = Search::pattern_any_case(pattern.to_uppercase()).unwrap();
            let expected: Vec<Vec<u8>> = lines
                .iter()
                .filter(|(path, is_folder)| capitals.matches(path, *is_folder))
                .map(|(path, _)| path.to_vec())
                .collect();
            prop_assert_eq!(found(&capitals, &text), expected);
            // A name taken as it is finds itself.
            for path in &paths {
                let name = std::str::from_utf8(path).unwrap();
                let search = Search::fixed(format!("/{name}")).unwrap();
                prop_assert_eq!(found(&search, &text), std::slice::from_ref(path));
            }
        }
    }
}
