//! Exclude patterns with rsync's meaning, compiled once and asked once per entry.
//!
//! Owns what a pattern means and which entries it matches; the built-in copy engine and the rsync
//! engine both take it from here, so that they cannot disagree. It must not walk a tree or touch
//! the file system: the caller prunes, and asks for one entry at a time, parents first.

mod full_path;
mod glob;

use std::{fmt, str::FromStr};

use glob::{Glob, NameShape, Reach};

use crate::{StoredPath, path::rest_below};

/// The longest pattern that rsync accepts, in bytes; it drops a longer one and carries on.
const LONGEST: usize = 4095;

/// One exclude pattern, meaning what `--exclude=PATTERN` means in rsync(1), section *PATTERN
/// MATCHING RULES*, when the source folder is the root of the transfer (`rsync … src/ dst/`).
///
/// - A `/` inside the pattern, or `**`, makes it match the tail of the path; otherwise it matches
///   the entry's own name, at any depth.
/// - A leading `/` anchors it at the source; a trailing `/` makes it match folders only.
/// - Beyond rsync: what is anchored is also taken for a full path from `/`, so that `/home/*/.cache`
///   means what it says whether the source is `/home`, `/home/ann` or `/`.
/// - `*`, `?` and `[…]` stop at `/`; `**` does not. They match bytes, not characters.
/// - `folder/***` matches the folder and everything in it.
/// - A backslash is an escape only if the pattern has a `*`, `?` or `[`.
/// - A leading `- ` is dropped, as rsync does; this is how to write the names `!` and `+ x`.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    folders_only: bool,
    test: Test,
}

/// What an entry is compared with. The first four look at the entry's own name only, the others at
/// its path.
#[derive(Clone)]
enum Test {
    Name(Box<[u8]>),
    NameStart(Box<[u8]>),
    NameEnd(Box<[u8]>),
    NameGlob(Glob),
    Path(Box<[u8]>),
    PathTail(Box<[u8]>),
    PathGlob(Glob, Reach),
    /// For patterns that rsync accepts although nothing can match them, such as `/` or `[a`.
    Nothing,
}

impl Pattern {
    /// Reads a pattern as written in the config.
    ///
    /// Refused is what rsync would not take for an exclude: the empty pattern (ignored), `+ x` (an
    /// include), `!` (forgets the patterns before it), a lone `- ` (an error), what it drops for
    /// its length, and a NUL byte, which no argument can hold. All else is a pattern: leading and
    /// trailing blanks, `#`, `;` and line feeds stand for themselves, as on rsync's command line.
    pub fn parse(text: &str) -> Result<Pattern, InvalidPattern> {
        Self::parse_bytes(text.as_bytes())
    }

    /// The same of a pattern that need not be text: names are bytes.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_bytes(written: &[u8]) -> Result<Pattern, InvalidPattern> {
        let text = || String::from_utf8_lossy(written).into_owned();
        let refuse = |reason| {
            Err(InvalidPattern {
                pattern: text(),
                reason,
            })
        };
        let body = written.strip_prefix(b"- ").unwrap_or(written);
        if written.is_empty() {
            return refuse(Reason::Empty);
        }
        if written.contains(&0) {
            return refuse(Reason::Nul);
        }
        if written == b"!" {
            return refuse(Reason::Clear);
        }
        if written.starts_with(b"+ ") {
            return refuse(Reason::Include);
        }
        if body.is_empty() {
            return refuse(Reason::NoName);
        }
        if body.len() > LONGEST {
            return refuse(Reason::TooLong);
        }
        let (body, folders_only) = match body.strip_suffix(b"/") {
            Some(rest) => (rest, true),
            None => (body, false),
        };
        Ok(Pattern {
            text: text(),
            folders_only,
            test: Test::compile(body),
        })
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn matches(&self, path: &[u8], name: &[u8], is_dir: bool) -> bool {
        if self.folders_only && !is_dir {
            return false;
        }
        match &self.test {
            Test::Name(wanted) => name == &**wanted,
            Test::NameStart(start) => name.starts_with(start),
            Test::NameEnd(end) => name.ends_with(end),
            Test::NameGlob(glob) => glob.matches_name(name),
            Test::Path(wanted) => path == &**wanted,
            Test::PathTail(tail) => path
                .strip_suffix(&**tail)
                .is_some_and(|head| head.is_empty() || head.ends_with(b"/")),
            Test::PathGlob(glob, reach) => glob.matches_path(path, *reach, is_dir),
            Test::Nothing => false,
        }
    }

    /// Whether the pattern, taken for a path from `/`, matches what is at `path` below `around`.
    fn is_full_path_of(&self, around: &StoredPath, path: &[u8], is_dir: bool) -> bool {
        if self.folders_only && !is_dir {
            return false;
        }
        match &self.test {
            Test::Path(wanted) if around.is_root() => &**wanted == path,
            Test::Path(wanted) => rest_below(wanted, around.as_bytes()) == Some(path),
            Test::PathGlob(glob, Reach::Whole) => {
                glob.matches_below(around.as_bytes(), path, is_dir)
            }
            _ => false,
        }
    }
}

impl Test {
    /// `body` is the pattern without `- ` before it and `/` behind it.
    fn compile(body: &[u8]) -> Test {
        if body.is_empty() {
            return Test::Nothing;
        }
        let (rest, anchored) = match body.strip_prefix(b"/") {
            Some(rest) => (rest, true),
            None => (body, false),
        };
        let slashes = body.iter().filter(|&&byte| byte == b'/').count();
        if !body.iter().any(|byte| b"*?[".contains(byte)) {
            return match (anchored, slashes) {
                (true, _) if rest.is_empty() => Test::Nothing,
                (true, _) => Test::Path(rest.into()),
                (false, 0) => Test::Name(rest.into()),
                (false, _) => Test::PathTail(rest.into()),
            };
        }
        // rsync looks for `**` in the text, so that even `[**]` and `\**` count.
        let deep = body.windows(2).any(|pair| pair == b"**");
        let Some(glob) = Glob::compile(rest) else {
            return Test::Nothing;
        };
        match (anchored, deep) {
            (false, false) if slashes == 0 => match glob.name_shape() {
                NameShape::Start(start) => Test::NameStart(start),
                NameShape::End(end) => Test::NameEnd(end),
                NameShape::Other => Test::NameGlob(glob),
            },
            (false, false) => Test::PathGlob(glob, Reach::LastComponents(slashes)),
            (false, true) => Test::PathGlob(glob, Reach::AnyComponent),
            (true, _) => Test::PathGlob(glob, Reach::Whole),
        }
    }
}

impl FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Pattern::parse(text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.text)
    }
}

/// A list of exclude patterns. An entry that any of them matches is left out and, if it is a
/// folder, everything in it.
#[derive(Clone, Debug, Default)]
pub struct Excludes {
    patterns: Vec<Pattern>,
}

impl Excludes {
    /// Compiles the patterns; the first invalid one is the error.
    pub fn new(patterns: &[impl AsRef<str>]) -> Result<Excludes, InvalidPattern> {
        let patterns = patterns.iter().map(|text| Pattern::parse(text.as_ref()));
        Ok(Excludes {
            patterns: patterns.collect::<Result<_, _>>()?,
        })
    }

    /// One pattern that need not be text.
    ///
    /// # Errors
    /// As [`Pattern::parse`].
    pub fn one(written: &[u8]) -> Result<Excludes, InvalidPattern> {
        Ok(Excludes {
            patterns: vec![Pattern::parse_bytes(written)?],
        })
    }

    /// The index of the first pattern that matches an entry, which is then excluded.
    ///
    /// `path` is relative to the source, components joined by `/`, with no `/` before or behind.
    /// The source itself (an empty path) is never excluded. `is_dir` is false for a symlink to a
    /// folder. Do not ask about what lies in an excluded folder: it is excluded, but need not match.
    #[must_use]
    pub fn matches(&self, path: &[u8], is_dir: bool) -> Option<usize> {
        if path.is_empty() {
            return None;
        }
        let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
        self.patterns
            .iter()
            .position(|pattern| pattern.matches(path, name, is_dir))
    }

    /// As [`Excludes::matches`], of an entry whose place from `/` is known, so that what is anchored is
    /// compared as a full path as well.
    ///
    /// `path` is relative to `around`, which is the source, or a source around it. From its byte `anchor`
    /// on, which is 0 in the first case, it is relative to the source that the entry belongs to.
    #[must_use]
    pub fn matches_placed(
        &self,
        around: &StoredPath,
        path: &[u8],
        anchor: usize,
        is_dir: bool,
    ) -> Option<usize> {
        let own = path.get(anchor..).unwrap_or_default();
        if own.is_empty() {
            return None;
        }
        let name = own.rsplit(|&byte| byte == b'/').next().unwrap_or(own);
        self.patterns.iter().position(|pattern| {
            pattern.matches(own, name, is_dir) || pattern.is_full_path_of(around, path, is_dir)
        })
    }

    /// Whether there is no pattern, so that nothing is excluded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// The patterns, in the order that [`Excludes::matches`] counts them in.
    #[must_use]
    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// The patterns that make rsync exclude the same entries of a source: full paths become what they are
    /// below it.
    #[must_use]
    pub fn to_rsync_patterns(&self, source: &StoredPath) -> Vec<String> {
        let all = self.patterns.iter().map(Pattern::as_str);
        let written = all.clone().map(str::to_owned);
        let full = all.flat_map(|text| full_path::below(text, source));
        written.chain(full).collect()
    }
}

/// Why a text is not an exclude pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidPattern {
    pattern: String,
    reason: Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Empty,
    Nul,
    Clear,
    Include,
    NoName,
    TooLong,
}

impl InvalidPattern {
    /// The text that was refused.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.pattern
    }
}

impl fmt::Display for InvalidPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pattern = &self.pattern;
        match self.reason {
            Reason::Empty => write!(f, "an exclude pattern must not be empty"),
            Reason::Nul => write!(
                f,
                "exclude pattern {pattern:?} holds a NUL byte, which no file name can hold"
            ),
            Reason::Clear => write!(
                f,
                "exclude pattern \"!\" would make rsync forget the patterns before it; \
                 write \"- !\" to exclude that name"
            ),
            Reason::Include => write!(
                f,
                "exclude pattern {pattern:?} begins with \"+ \", which rsync takes for an include; \
                 write {:?} to exclude that name",
                format!("- {pattern}")
            ),
            Reason::NoName => write!(f, "exclude pattern {pattern:?} names nothing after \"- \""),
            Reason::TooLong => write!(
                f,
                "exclude pattern {:?}… has {} bytes, and rsync takes at most {LONGEST}",
                pattern.chars().take(40).collect::<String>(),
                pattern.len()
            ),
        }
    }
}

impl std::error::Error for InvalidPattern {}
