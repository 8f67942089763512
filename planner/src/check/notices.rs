//! Rules about `notifications.*`: whether anyone is told, and addresses.
//!
//! Looks at the form of an address only. Which channels this version has is `unsupported`'s.

use schema::Config;

use super::rules::{Finding, when};

/// Notifications that reach nobody.
pub(super) fn no_channel(config: &Config) -> Vec<Finding> {
    let n = &config.notifications;
    let any = n.desktop
        || n.email.is_some()
        || n.ntfy.is_some()
        || n.webhook.is_some()
        || n.healthcheck.is_some()
        || n.command.is_some();
    when(n.enable && !any, || {
        Finding::new(
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
pub(super) fn email(config: &Config) -> Vec<Finding> {
    let Some(email) = &config.notifications.email else {
        return Vec::new();
    };
    // A line break would add headers to the mail, a leading dash is an option of sendmail.
    let sound = |address: &str| {
        address.contains('@') && !address.contains(char::is_control) && !address.starts_with('-')
    };
    [
        ("notifications.email.to", &email.to),
        ("notifications.email.from", &email.from),
    ]
    .into_iter()
    .filter(|(_, address)| !sound(address))
    .map(|(path, _)| {
        Finding::new(path, "not a mail address")
            .expected("an address with `@` on one line, not starting with `-`")
            .hint(format!(
                "set `{path}` to an address such as \"root@example.org\""
            ))
    })
    .collect()
}

/// Addresses that are not of the web.
pub(super) fn urls(config: &Config) -> Vec<Finding> {
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
        .filter(|(_, url)| url.is_some_and(|url| !is_url(url)))
        .map(|(path, _)| {
            Finding::new(path, "not a web address")
                .expected("an address that starts with http:// or https://, without blanks")
                .hint(format!(
                    "set `{path}` to the whole address, with https:// before it"
                ))
        })
        .collect()
}

fn is_url(url: &str) -> bool {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with(['/', '?', '#'])
            && !rest.contains(|c: char| c.is_whitespace() || c.is_control())
    })
}

/// An ntfy topic that is not one part of an address.
pub(super) fn topic(config: &Config) -> Vec<Finding> {
    let topic = config.notifications.ntfy.as_ref().map(|ntfy| &ntfy.topic);
    let known = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let unsound = |topic: &String| topic.is_empty() || !topic.chars().all(known);
    when(topic.is_some_and(unsound), || {
        Finding::new("notifications.ntfy.topic", "not an ntfy topic")
            .expected("letters, digits, `-` and `_`")
            .hint("set `notifications.ntfy.topic` to the topic's name only")
    })
}
