//! Rules about `notifications.*`: whether anyone is told, and addresses.
//!
//! Looks at the form of an address only: nothing is resolved or asked.

use schema::{
    Config,
    web_address::{EXPECTED_ADDRESS, address_fault, is_ntfy_topic},
};

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

/// A report that has nobody to go to.
pub(super) fn report(config: &Config) -> Vec<RuleFinding> {
    let n = &config.notifications;
    let problem = match (n.enable, &n.email) {
        (true, Some(_)) => return Vec::new(),
        (false, _) => "set, and `notifications.enable` is false",
        (true, None) => "set, and `notifications.email` is null",
    };
    finding_if(n.report.is_some(), || {
        RuleFinding::new("notifications.report", problem)
            .expected("`notifications.enable` and `notifications.email`, since it comes by mail")
            .hint("set these, or set `notifications.report` to null")
            .with(&["notifications.enable", "notifications.email"])
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
            n.webhook.as_ref().and_then(|c| c.url.as_ref()),
        ),
        (
            "notifications.healthcheck.url",
            n.healthcheck.as_ref().and_then(|c| c.url.as_ref()),
        ),
    ];
    urls.into_iter()
        .filter_map(|(path, url)| Some((path, address_fault(url?)?)))
        .map(|(path, fault)| {
            RuleFinding::new(path, fault.problem)
                .expected(EXPECTED_ADDRESS)
                .hint(format!("set `{path}` to {}", fault.instead))
        })
        .collect()
}

/// Addresses and topics that are given twice, or not at all.
pub(super) fn in_files(config: &Config) -> Vec<RuleFinding> {
    let n = &config.notifications;
    let given = [
        n.webhook.as_ref().map(|c| {
            let both = (c.url.is_some(), c.url_file.is_some());
            ("notifications.webhook", "url", "urlFile", both)
        }),
        n.healthcheck.as_ref().map(|c| {
            let both = (c.url.is_some(), c.url_file.is_some());
            ("notifications.healthcheck", "url", "urlFile", both)
        }),
        n.ntfy.as_ref().map(|c| {
            let both = (c.topic.is_some(), c.topic_file.is_some());
            ("notifications.ntfy", "topic", "topicFile", both)
        }),
    ];
    let wrong = given.into_iter().flatten().filter(|(.., (a, b))| a == b);
    wrong
        .map(|(option, plain, file, (is_given, _))| {
            let problem = if is_given {
                format!("has `{plain}` and `{file}`, which is the same twice")
            } else {
                format!("has neither `{plain}` nor `{file}`")
            };
            RuleFinding::new(option, problem)
                .expected(format!("one of `{plain}` and `{file}`"))
                .hint(format!(
                    "set `{option}.{file}` to a file that only root can read, or `{option}.{plain}` \
                     to what everybody may know"
                ))
        })
        .collect()
}

/// An ntfy topic that is not one part of an address.
pub(super) fn topic(config: &Config) -> Vec<RuleFinding> {
    let ntfy = config.notifications.ntfy.as_ref();
    let topic = ntfy.and_then(|ntfy| ntfy.topic.as_ref());
    finding_if(topic.is_some_and(|topic| !is_ntfy_topic(topic)), || {
        RuleFinding::new("notifications.ntfy.topic", "not an ntfy topic")
            .expected("1 to 64 letters, digits, `-` and `_`")
            .hint("set `notifications.ntfy.topic` to the topic's name only")
    })
}
