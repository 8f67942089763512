//! A command line that is not finished, as bash hands it over: text, of which the words are made here.
//!
//! Owns what quotes and backslashes mean, and which part of the last word bash puts an answer in the place
//! of. Nothing is expanded but a `~/` at the beginning of a word, as a shell would.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
};

use crate::settings::home_folder;

/// Where bash begins a new word beside blanks, by its default (`COMP_WORDBREAKS`).
const BREAKS: &[u8] = b"=:@><;|&(";

/// A line cut into words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TypedLine {
    /// All words without their quotes, the last of them the one at the cursor, which may be empty.
    pub(super) words: Vec<OsString>,
    /// How many bytes of the last word stay as they are, before what is put in.
    stays: usize,
    /// The quote that is still open in it.
    quote: Option<u8>,
}

impl TypedLine {
    /// Cuts a line at the cursor into its words.
    pub(super) fn parse(line: &OsStr) -> Self {
        let mut words = Vec::new();
        let mut word = Vec::new();
        let (mut quote, mut is_word, mut stays) = (None, false, 0);
        let mut bytes = line.as_bytes().iter().copied();
        while let Some(byte) = bytes.next() {
            match (quote, byte) {
                (None, b' ' | b'\t' | b'\n') => {
                    if is_word {
                        words.push(std::mem::take(&mut word));
                    }
                    (is_word, stays) = (false, 0);
                    continue;
                }
                (None, b'\'' | b'"') => quote = Some(byte),
                (Some(open), _) if byte == open => quote = None,
                (None, b'\\') => word.extend(bytes.next()),
                (Some(b'"'), b'\\') => match bytes.next() {
                    Some(next) if b"\"\\$`".contains(&next) => word.push(next),
                    Some(next) => word.extend([b'\\', next]),
                    None => {}
                },
                (None, b'~') if !is_word => {
                    is_word = true;
                    word.push(byte);
                    continue;
                }
                (None, _) if BREAKS.contains(&byte) => {
                    word.push(byte);
                    stays = word.len();
                }
                _ => word.push(byte),
            }
            is_word = true;
        }
        words.push(word);
        let words = words.into_iter().map(OsString::from_vec);
        Self {
            words: words.collect(),
            stays,
            quote,
        }
    }

    /// A whole word as bash is to put it in: without what stays of the one that was typed, and quoted as that is.
    pub(super) fn to_put_in(&self, word: &str) -> String {
        let rest = word.get(self.stays..).unwrap_or_default();
        if self.quote.is_some() {
            return rest.to_owned();
        }
        let is_plain = |one: char| one.is_alphanumeric() || "/._-+,%~:=@".contains(one);
        let mut quoted = String::new();
        for one in rest.chars() {
            if !is_plain(one) {
                quoted.push('\\');
            }
            quoted.push(one);
        }
        quoted
    }
}

/// A word with the home folder that a shell would put in the place of `~/`.
pub(super) fn with_home(word: &OsStr) -> OsString {
    match word.as_bytes().strip_prefix(b"~/") {
        Some(rest) => home_folder().join(OsStr::from_bytes(rest)).into(),
        None => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> TypedLine {
        TypedLine::parse(OsStr::new(line))
    }

    #[test]
    fn words_are_cut_as_a_shell_cuts_them() {
        for (line, expected) in [
            ("backup restore ", &["backup", "restore", ""][..]),
            ("backup  restore lat", &["backup", "restore", "lat"]),
            (r"b 'a b'\''c' d\ e", &["b", "a b'c", "d e"]),
            (r#"b "a \"b\" \x" "#, &["b", r#"a "b" \x"#, ""]),
            ("b '' --config=/x/y ", &["b", "", "--config=/x/y", ""]),
            ("b 'open quo", &["b", "open quo"]),
            (r"b end\", &["b", "end"]),
            ("", &[""]),
        ] {
            assert_eq!(parse(line).words, expected, "{line}");
        }
    }

    #[test]
    fn an_answer_takes_the_place_of_what_bash_takes_for_the_word() {
        assert_eq!(parse("b late").to_put_in("latest"), "latest");
        let option = parse("b --take-over=at");
        assert_eq!(option.to_put_in("--take-over=atlas"), "atlas");
        assert_eq!(parse("b x").to_put_in("x y'z"), r"x\ y\'z");
        assert_eq!(parse("b 'x").to_put_in("x y"), "x y");
        assert_eq!(parse("b /a:b/").to_put_in("/a:b/c"), "b/c");
    }

    #[test]
    fn a_tilde_is_the_home_folder_where_a_shell_takes_it_for_that() {
        let home = home_folder().join("x");
        assert_eq!(with_home(OsStr::new("~/x")), home.as_os_str());
        assert_eq!(with_home(OsStr::new("a~/x")), "a~/x");
    }
}
