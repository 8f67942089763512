//! Pings of a dead man's switch, in the form that healthchecks.io brought about: the address itself
//! is a success, `/start` and `/fail` below it are what they say
//! (<https://healthchecks.io/docs/http_api/>).

use std::time::Duration;

use schema::{RunResult, config::AbsolutePath};

use super::{
    Message, News, Occasion,
    attempt::Tried,
    secret::Address,
    web::{self, Post},
};

const OPTION: &str = "notifications.healthcheck";

/// Where a switch is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Switch<'a> {
    /// Its address.
    pub(super) url: Option<&'a str>,
    /// The file that holds its address.
    pub(super) url_file: Option<&'a AbsolutePath>,
}

/// What a ping says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ping {
    Start,
    Success,
    Fail,
}

/// What the news are to a switch. A test is a sign of life: there is no ping that says nothing.
pub(super) fn ping_of(news: &News<'_>) -> Ping {
    match (news.occasion, news.report.result_of_served()) {
        (Occasion::Test, _) | (Occasion::Result, RunResult::Success) => Ping::Success,
        (Occasion::Result | Occasion::Late | Occasion::Health | Occasion::Drill, _) => Ping::Fail,
    }
}

/// Pings it with the message as its note.
pub(super) fn ping_healthcheck(
    switch: Switch<'_>,
    ping: Ping,
    message: &Message,
    limit: Duration,
) -> Tried {
    send_ping(
        switch,
        ping,
        format!("{}\n\n{}", message.title, message.body),
        limit,
    )
}

/// Tells it that a run starts.
pub(super) fn ping_start(switch: Switch<'_>, limit: Duration) -> Tried {
    send_ping(switch, Ping::Start, String::new(), limit)
}

fn send_ping(switch: Switch<'_>, ping: Ping, note: String, limit: Duration) -> Tried {
    let address = Address::read(switch.url, switch.url_file, OPTION)?;
    let pinged = ping_address(&address.url, ping);
    let post = Post {
        address: address.with(pinged),
        headers: vec![(
            "Content-Type".to_owned(),
            "text/plain; charset=utf-8".to_owned(),
        )],
        body: note.into_bytes(),
    };
    web::post_request(&post, limit)
}

/// The address of a ping: what it says is added to the path, before a query.
fn ping_address(url: &str, ping: Ping) -> String {
    let suffix = match ping {
        Ping::Success => return url.to_owned(),
        Ping::Start => "/start",
        Ping::Fail => "/fail",
    };
    let (path, query) = url.split_at(url.find('?').unwrap_or(url.len()));
    format!("{}{suffix}{query}", path.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_ping_says_is_added_to_the_path() {
        let url = "https://hc.example.org/ping/0?create=1";
        assert_eq!(ping_address(url, Ping::Success), url);
        assert_eq!(
            ping_address(url, Ping::Fail),
            "https://hc.example.org/ping/0/fail?create=1"
        );
        assert_eq!(ping_address("https://hc/", Ping::Start), "https://hc/start");
    }
}
