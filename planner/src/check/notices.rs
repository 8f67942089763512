//! Rules about `notifications.*`: whether anyone is told, and addresses.
//!
//! Looks at the form of an address only: nothing is resolved or asked.

use schema::Config;

use super::finding::{RuleFinding, finding_if};

/// Notifications that reach nobody.
pub(super) fn no_channel(config: &Config) -> Vec<RuleFinding> {
    let n = &config.notifications;
    let any = n.desktop
        || n.email.is_some()
        || n.ntfy.is_some()
        || n.webhook.is_some()
        || n.healthcheck.is_some()
        || n.command.is_some();
    finding_if(n.enable && !any, || {
        RuleFinding::new(
            "notifications.enable",
            "true, and there is no channel: `notifications.desktop` is false and all others are \
             null",
        )
        .expected("at least one channel, such as `notifications.command`")
        .hint("set a channel, or set `notifications.enable` to false")
        .with(&[
            "notifications.desktop",
            "notifications.email",
            "notifications.ntfy",
            "notifications.webhook",
            "notifications.healthcheck",
            "notifications.command",
        ])
    })
}

/// Mail addresses that sendmail would misread.
pub(super) fn email(config: &Config) -> Vec<RuleFinding> {
    let Some(email) = &config.notifications.email else {
        return Vec::new();
    };
    [
        ("notifications.email.to", &email.to),
        ("notifications.email.from", &email.from),
    ]
    .into_iter()
    .filter(|(_, address)| !is_address(address))
    .map(|(path, _)| {
        RuleFinding::new(path, "not a mail address")
            .expected(
                "one address with `@`, in ASCII, without blanks, quotes, commas and brackets, not \
                 starting with `-`",
            )
            .hint(format!(
                "set `{path}` to an address such as \"root@example.org\""
            ))
    })
    .collect()
}

/// One plain address. A line break would add headers to the mail, a comma more recipients, and a
/// leading dash is an option of sendmail.
fn is_address(address: &str) -> bool {
    let plain = |c: char| c.is_ascii_graphic() && !"()<>[],;:\\\"@".contains(c);
    address.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty()
            && !host.is_empty()
            && !name.starts_with('-')
            && name.chars().chain(host.chars()).all(plain)
    })
}

/// Addresses that are not of the web.
pub(super) fn urls(config: &Config) -> Vec<RuleFinding> {
    let n = &config.notifications;
    let urls = [
        ("notifications.ntfy.url", n.ntfy.as_ref().map(|c| &c.url)),
        (
            "notifications.webhook.url",
            n.webhook.as_ref().map(|c| &c.url),
        ),
        (
            "notifications.healthcheck.url",
            n.healthcheck.as_ref().map(|c| &c.url),
        ),
    ];
    urls.into_iter()
        .filter_map(|(path, url)| Some((path, fault_of(url?)?)))
        .map(|(path, (problem, hint))| {
            RuleFinding::new(path, problem)
                .expected(
                    "an address in ASCII that starts with http:// or https://, without blanks, \
                     user name and `#`",
                )
                .hint(format!("set `{path}` to {hint}"))
        })
        .collect()
}

/// What is wrong with a web address, and what it should be.
fn fault_of(url: &str) -> Option<(&'static str, &'static str)> {
    const NOT: (&str, &str) = (
        "not a web address",
        "the whole address, with https:// before it",
    );
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
        return Some((
            "has a part after `#`, which no server gets",
            "the part before `#`",
        ));
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return Some((
            "has a user name or password in it, which would be shown",
            "the address alone, and put the secret into a file (`tokenFile`, `headersFile`)",
        ));
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

/// An ntfy topic that is not one part of an address.
pub(super) fn topic(config: &Config) -> Vec<RuleFinding> {
    let topic = config.notifications.ntfy.as_ref().map(|ntfy| &ntfy.topic);
    let known = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    // At most 64, as the server has it (https://docs.ntfy.sh/publish/).
    let unsound = |topic: &String| !(1..=64).contains(&topic.len()) || !topic.chars().all(known);
    finding_if(topic.is_some_and(unsound), || {
        RuleFinding::new("notifications.ntfy.topic", "not an ntfy topic")
            .expected("1 to 64 letters, digits, `-` and `_`")
            .hint("set `notifications.ntfy.topic` to the topic's name only")
    })
}
