//! What is said of one destination in its view, in the words in which a person configures it and asks for it.

use super::{Config, DestinationKind, DestinationName};
use crate::{Finding, journal::Outcome};

/// The verbs that work on one destination, the one that `--destination` names or else `local`.
pub const VERBS_OF_ONE: [&str; 16] = [
    "accept", "adopt", "browse", "delete", "diff", "drill", "find", "init", "list", "pin", "prune",
    "restore", "simulate", "unpin", "verify", "view",
];

/// How commands say that they are for the copies in the cloud.
const OF_CLOUD: [&str; 3] = ["--only cloud", "--from cloud", "--cloud"];

/// A text that tells why something stays or goes, whose options every destination has of its own, with the keys
/// of this one.
#[must_use]
pub fn retention_in_words_of(name: &DestinationName, text: &str) -> String {
    const OWN: [(&str, [&str; 2]); 2] = [
        ("local.", ["keep", "makeRoom"]),
        ("cloud.", ["keepHistoryDays", "maxDelete"]),
    ];
    let mut words = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, section, keys)) = OWN
        .iter()
        .filter_map(|(section, keys)| Some((rest.find(section)?, section, keys)))
        .min()
    {
        let (head, tail) = rest.split_at(at);
        words.push_str(head);
        let key = tail.get(section.len()..).unwrap_or_default();
        let is_own = keys.iter().any(|own| key.starts_with(own));
        let inside = words.chars().next_back().is_some_and(is_before_no_key);
        match is_own && !inside {
            true => words.push_str(&format!("destinations.{name}.")),
            false => words.push_str(section),
        }
        rest = key;
    }
    words + rest
}

/// Whether a sign says that what follows it is part of a name or of a path, and no key.
fn is_before_no_key(one: char) -> bool {
    one.is_ascii_alphanumeric() || matches!(one, '.' | '/' | '-' | '_' | '\\')
}

impl Config {
    /// A text about the destination of this name that knows no other: with the keys that a person writes,
    /// and commands that work on it and not on `local`.
    #[must_use]
    pub fn in_words_of(&self, name: &DestinationName, text: &str) -> String {
        if !self.destinations.contains_key(name) {
            return text.to_owned();
        }
        let text = self.with_own_keys(name, text);
        let is_remote = self.remote_options(name).is_some();
        with_own_commands(name, is_remote, &text)
    }

    /// What was found of the destination of this name, in its words.
    pub fn tell_in_words_of(&self, name: &DestinationName, finding: &mut Finding) {
        finding.message = self.in_words_of(name, &finding.message);
        self.hint_in_words_of(name, &mut finding.hint);
    }

    /// How a step of the destination of this name ended, in its words.
    pub fn end_in_words_of(&self, name: &DestinationName, outcome: &mut Outcome) {
        outcome.message = self.in_words_of(name, &outcome.message);
        self.hint_in_words_of(name, &mut outcome.hint);
    }

    fn hint_in_words_of(&self, name: &DestinationName, hint: &mut Option<String>) {
        if let Some(hint) = hint {
            *hint = self.in_words_of(name, hint);
        }
    }

    /// The section in which this destination has what stands in that one of its view.
    fn section_of(&self, name: &DestinationName, section: &str) -> Option<String> {
        let destination = self.destinations.get(name)?;
        let own = match destination.kind {
            DestinationKind::Disk => DestinationName::LOCAL,
            DestinationKind::Remote => DestinationName::CLOUD,
        };
        (section == own).then(|| format!("destinations.{name}"))
    }

    /// The same text with the keys that a person writes.
    fn with_own_keys(&self, name: &DestinationName, text: &str) -> String {
        let is_key = |one: char| one.is_ascii_alphanumeric() || one == '.';
        let mut words = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = ["local.", "cloud.", "schedule."]
            .iter()
            .filter_map(|section| rest.find(section))
            .min()
        {
            let (head, tail) = rest.split_at(at);
            words.push_str(head);
            let end = tail.find(|one: char| !is_key(one)).unwrap_or(tail.len());
            let path = tail.get(..end).unwrap_or_default().trim_end_matches('.');
            let inside = words.chars().next_back().is_some_and(is_before_no_key);
            rest = tail.get(path.len()..).unwrap_or_default();
            let whole = rest.starts_with(".*");
            match self.section_of(name, path).filter(|_| whole) {
                _ if inside => words.push_str(path),
                Some(section) => words.push_str(&section),
                None => words.push_str(&self.path_of(name, path)),
            }
        }
        words + rest
    }
}

/// The same text with commands, which stand in backticks, that name the destination.
fn with_own_commands(name: &DestinationName, is_remote: bool, text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('`') {
        let (head, tail) = rest.split_at(at + 1);
        words.push_str(head);
        rest = tail;
        // Where a sign begins no command it may end one, or be part of a name.
        let Some(commands) = tail
            .split('`')
            .next()
            .filter(|code| code.len() < tail.len())
        else {
            continue;
        };
        let own: Vec<String> = commands
            .split(" && ")
            .map(|command| with_destination(name, is_remote, command))
            .collect();
        let own = own.join(" && ");
        if own != commands {
            words.push_str(&own);
            rest = tail.get(commands.len()..).unwrap_or_default();
        }
    }
    words + rest
}

fn with_destination(name: &DestinationName, is_remote: bool, command: &str) -> String {
    let called = ["backup ", "sudo backup "]
        .iter()
        .find_map(|call| Some((call, command.strip_prefix(call)?)));
    let Some((call, rest)) = called else {
        return command.to_owned();
    };
    // In its view a remote is the cloud.
    if is_remote && OF_CLOUD.iter().any(|of| rest.contains(of)) {
        let [only, from, compared] = OF_CLOUD;
        let named = format!("--destination {name}");
        return command
            .replace(only, &format!("--only {name}"))
            .replace(from, &named)
            .replace(compared, &named);
    }
    if !may_name_destination(rest.split(' ')) {
        return command.to_owned();
    }
    let (verb, arguments) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
    format!("{call}{verb} --destination {name}{arguments}")
}

/// Whether the words of a command, behind the program's name, are of a verb that works on one destination, and
/// name neither one nor the cloud.
#[must_use]
pub fn may_name_destination<'w>(words: impl IntoIterator<Item = &'w str>) -> bool {
    let mut words = words.into_iter();
    let is_of_one = words
        .next()
        .is_some_and(|verb| VERBS_OF_ONE.contains(&verb));
    let names_place = |word: &str| {
        word.starts_with("--destination") || word.starts_with("--from") || word == "--cloud"
    };
    is_of_one && !words.any(names_place)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn words(text: &str) -> String {
        let config: Config = serde_json::from_value(json!({
            "destinations": { "usb": { "type": "disk", "mountPoint": "/mnt/usb" } },
        }))
        .unwrap();
        let words = config.in_words_of(&DestinationName::new("usb"), text);
        // What is told twice is told as once.
        assert_eq!(
            config.in_words_of(&DestinationName::new("usb"), &words),
            words
        );
        assert_eq!(
            config.in_words_of(&DestinationName::new("local"), text),
            text
        );
        words
    }

    #[test]
    fn words_name_keys_as_they_are_written_and_leave_paths_alone() {
        assert_eq!(
            words(
                "set `local.ifAbsent` to \"defer\", or mount /srv/local.sources (local.mountPoint)."
            ),
            "set `destinations.usb.ifAbsent` to \"defer\", or mount /srv/local.sources \
             (destinations.usb.mountPoint)."
        );
        assert_eq!(
            words("see `local.enable`."),
            "see `destinations.usb.enable`."
        );
        assert_eq!(words("about local. Things"), "about local. Things");
        assert_eq!(words("local.oneFileSystem"), "local.oneFileSystem");
    }

    #[test]
    fn commands_name_the_destination_that_they_are_for() {
        for (text, expected) in [
            (
                "`backup accept 2025-01-16_02-00-00` says so",
                "`backup accept --destination usb 2025-01-16_02-00-00` says so",
            ),
            (
                "`sudo backup verify --repair`, then `backup list`",
                "`sudo backup verify --destination usb --repair`, then `backup list --destination usb`",
            ),
            (
                "`mount /mnt/usb && backup init`",
                "`mount /mnt/usb && backup init --destination usb`",
            ),
            (
                "`backup verify && backup accept X`",
                "`backup verify --destination usb && backup accept --destination usb X`",
            ),
            (
                "`backup status`, `backup now`, `backup ... --yes`",
                "`backup status`, `backup now`, `backup ... --yes`",
            ),
            (
                "`backup pin --destination=nas X`",
                "`backup pin --destination=nas X`",
            ),
            ("a `b` and `backup list", "a `b` and `backup list"),
        ] {
            assert_eq!(words(text), expected);
        }
    }

    #[test]
    fn what_stays_and_goes_is_told_by_the_keys_of_its_own() {
        let name = DestinationName::new("b2");
        let words = |text| retention_in_words_of(&name, text);
        assert_eq!(
            words("older than cloud.keepHistoryDays, kept by local.keepDaily (local.sources)"),
            "older than destinations.b2.keepHistoryDays, kept by destinations.b2.keepDaily (local.sources)"
        );
        assert_eq!(words("/srv/cloud.maxDelete"), "/srv/cloud.maxDelete");
    }

    #[test]
    fn of_a_remote_commands_for_the_cloud_are_for_that() {
        let config: Config = serde_json::from_value(json!({
            "destinations": { "b2": { "type": "remote", "remote": "b2:" } },
        }))
        .unwrap();
        let name = DestinationName::new("b2");
        for (text, expected) in [
            ("`backup apply --only cloud`", "`backup apply --only b2`"),
            (
                "`backup verify --cloud --full`",
                "`backup verify --destination b2 --full`",
            ),
            (
                "`backup restore --from cloud --list`",
                "`backup restore --destination b2 --list`",
            ),
            (
                "`backup init --take-over`",
                "`backup init --destination b2 --take-over`",
            ),
        ] {
            assert_eq!(config.in_words_of(&name, text), expected);
            assert_eq!(config.in_words_of(&name, expected), expected);
        }
    }
}
