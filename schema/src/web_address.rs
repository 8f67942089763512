//! Addresses of web servers and names of ntfy topics as people give them: their form, and nothing else.

/// What an address has to be, for messages.
pub const EXPECTED_ADDRESS: &str =
    "an address in ASCII that starts with http:// or https://, without blanks, user name and `#`";

/// What is wrong with the form of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressFault {
    /// What is wrong.
    pub problem: &'static str,
    /// What it should be.
    pub instead: &'static str,
}

/// What is wrong with a web address; none where nothing is. The text itself is in no answer, since it
/// may be a secret.
#[must_use]
pub fn address_fault(url: &str) -> Option<AddressFault> {
    const NOT: AddressFault = AddressFault {
        problem: "not a web address",
        instead: "the whole address, with https:// before it",
    };
    let Some(rest) = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))
    else {
        return Some(NOT);
    };
    if !rest.chars().all(|c| c.is_ascii_graphic()) || rest.contains(['"', '<', '>', '\\', '`']) {
        return Some(NOT);
    }
    if rest.contains('#') {
        return Some(AddressFault {
            problem: "has a part after `#`, which no server gets",
            instead: "the part before `#`",
        });
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return Some(AddressFault {
            problem: "has a user name or password in it, which would be shown",
            instead: "the address alone, and put the secret into a file (`tokenFile`, `headersFile`)",
        });
    }
    (!is_authority(authority)).then_some(NOT)
}

/// A host, or an IPv6 address in brackets, with or without a port.
fn is_authority(authority: &str) -> bool {
    let (is_host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else {
            return false;
        };
        (address.parse::<std::net::Ipv6Addr>().is_ok(), port)
    } else {
        let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
        let known = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        (!host.is_empty() && host.chars().all(known), port)
    };
    let is_port = |text: &str| text.parse::<u16>().is_ok_and(|port| port > 0);
    is_host && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

/// Whether a text is the name of an ntfy topic: at most 64 characters, as the server has it
/// (<https://docs.ntfy.sh/publish/>).
#[must_use]
pub fn is_ntfy_topic(text: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (1..=64).contains(&text.len()) && text.chars().all(known)
}
