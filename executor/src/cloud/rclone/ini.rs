//! rclone's configuration as text: sections with `key = value` lines.
//!
//! Owns which values rclone changes by itself. Everything else in a configuration is its author's, and
//! is never taken from a copy: a value can name a program that rclone runs.

/// How an encrypted configuration says that it is one.
const ENCRYPTED: &str = "RCLONE_ENCRYPT_";

/// One `key = value` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Value<'a> {
    /// The section that it stands in.
    pub(super) section: &'a str,
    /// The key.
    pub(super) key: &'a str,
    /// The value.
    pub(super) value: &'a str,
}

/// Whether a configuration is encrypted as a whole.
pub(super) fn is_encrypted(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    first.is_some_and(|line| line.starts_with(ENCRYPTED))
}

/// All values; none of an encrypted configuration.
pub(super) fn values(text: &str) -> Vec<Value<'_>> {
    if is_encrypted(text) {
        return Vec::new();
    }
    let mut section = "";
    let mut found = Vec::new();
    for line in text.lines() {
        match Line::of(line) {
            Line::Section(name) => section = name,
            Line::Value { key, value } => found.push(Value {
                section,
                key,
                value,
            }),
            Line::Other => {}
        }
    }
    found
}

/// Whether it says of what type a remote is; never of an encrypted configuration.
pub(super) fn describes(text: &str, remote: &str) -> bool {
    let mut values = values(text).into_iter();
    values.any(|value| value.section == remote && value.key == "type")
}

/// Whether rclone writes this value by itself: tokens, and what Proton Drive keeps of a session.
pub(super) fn changes_by_itself(key: &str) -> bool {
    const OTHERS: [&str; 5] = [
        "client_uid",
        "client_salted_key_pass",
        "cookies",
        "authorization",
        "authorization_expiry",
    ];
    let elsewhere = ["url", "command", "file", "env"];
    OTHERS.contains(&key)
        || (key.contains("token") && !elsewhere.iter().any(|word| key.contains(word)))
}

/// The text with another value where `new` has one for a section and a key. A key that a section
/// lacks is added to it; a section that is not there is not.
pub(super) fn with_values(text: &str, new: &[Value<'_>]) -> String {
    let mut lines = Vec::new();
    let mut section = None;
    let mut done = vec![false; new.len()];
    for line in text.lines() {
        match Line::of(line) {
            Line::Section(name) => {
                add_missing(&mut lines, section, new, &mut done);
                section = Some(name);
                lines.push(line.to_owned());
            }
            Line::Value { key, .. } => {
                let same = |one: &Value<'_>| Some(one.section) == section && one.key == key;
                match new.iter().position(same) {
                    Some(at) => {
                        done[at] = true;
                        lines.push(format!("{key} = {}", new[at].value));
                    }
                    None => lines.push(line.to_owned()),
                }
            }
            Line::Other => lines.push(line.to_owned()),
        }
    }
    add_missing(&mut lines, section, new, &mut done);
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

/// Adds what a section lacks at its end, before the blank lines that follow it.
fn add_missing(
    lines: &mut Vec<String>,
    section: Option<&str>,
    new: &[Value<'_>],
    done: &mut [bool],
) {
    let Some(section) = section else { return };
    let blank = |line: &&String| line.trim().is_empty();
    let end = lines.len() - lines.iter().rev().take_while(blank).count();
    let mut missing = Vec::new();
    for (one, done) in new.iter().zip(done) {
        if one.section == section && !*done {
            *done = true;
            missing.push(format!("{} = {}", one.key, one.value));
        }
    }
    lines.splice(end..end, missing);
}

/// What a line is.
enum Line<'a> {
    Section(&'a str),
    Value { key: &'a str, value: &'a str },
    Other,
}

impl<'a> Line<'a> {
    fn of(line: &'a str) -> Self {
        let line = line.trim();
        if line.starts_with(['#', ';']) {
            return Self::Other;
        }
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            return Self::Section(name.trim());
        }
        match line.split_once('=') {
            Some((key, value)) => Self::Value {
                key: key.trim(),
                value: value.trim(),
            },
            None => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "# mine\n[a]\ntype = drive\ntoken = {\"x\":1}\n\n[b]\ntype=alias\nremote = /x\n";

    fn one<'a>(section: &'a str, key: &'a str, value: &'a str) -> Value<'a> {
        Value {
            section,
            key,
            value,
        }
    }

    #[test]
    fn values_are_read_with_their_sections() {
        assert_eq!(
            values(TEXT),
            [
                one("a", "type", "drive"),
                one("a", "token", "{\"x\":1}"),
                one("b", "type", "alias"),
                one("b", "remote", "/x"),
            ]
        );
        let encrypted = "# Encrypted rclone configuration File\n\nRCLONE_ENCRYPT_V0:\nabc=\n";
        assert!(is_encrypted(encrypted) && values(encrypted).is_empty());
        assert!(describes(TEXT, "b") && !describes(TEXT, "c") && !describes(encrypted, "b"));
        assert!(!is_encrypted(TEXT));
    }

    #[test]
    fn values_are_replaced_and_added_where_their_section_is() {
        assert_eq!(with_values(TEXT, &[]), TEXT);
        let new = [
            one("a", "token", "new"),
            one("a", "client_uid", "u"),
            one("b", "token", "t"),
            one("c", "token", "nowhere"),
        ];
        assert_eq!(
            with_values(TEXT, &new),
            "# mine\n[a]\ntype = drive\ntoken = new\nclient_uid = u\n\n[b]\ntype=alias\nremote = /x\n\
             token = t\n"
        );
    }

    #[test]
    fn what_rclone_saves_names_no_program_and_no_address() {
        for key in ["token", "client_access_token", "client_uid", "trust_token"] {
            assert!(changes_by_itself(key), "{key}");
        }
        for key in [
            "type",
            "ssh",
            "bearer_token_command",
            "token_url",
            "service_account_file",
            "remote",
            "override.http_proxy",
        ] {
            assert!(!changes_by_itself(key), "{key}");
        }
    }
}
