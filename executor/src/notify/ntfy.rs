//! A message to an ntfy topic (<https://docs.ntfy.sh/publish/>), published as JSON.

use std::{borrow::Cow, time::Duration};

use schema::{config::AbsolutePath, web_address::is_ntfy_topic};
use serde_json::json;

use super::{
    Message, NotificationPriority,
    attempt::{Failure, Tried},
    secret::{self, Address},
    text,
    web::{self, Post},
};

const OPTION: &str = "notifications.ntfy";
/// The server turns a longer message into an attachment; in bytes.
const LONGEST: usize = 4000;

/// Which topic, and how to get in.
pub(super) struct Topic<'a> {
    /// Address of the server.
    pub(super) url: &'a str,
    /// The topic itself.
    pub(super) topic: Option<&'a str>,
    /// The file that holds the topic.
    pub(super) topic_file: Option<&'a AbsolutePath>,
    /// The file that holds the access token.
    pub(super) token_file: Option<&'a AbsolutePath>,
}

/// Publishes it.
pub(super) fn notify_by_ntfy(to: &Topic<'_>, message: &Message, limit: Duration) -> Tried {
    let topic = read_topic(to)?;
    let mut headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
    if let Some(file) = to.token_file {
        let option = "notifications.ntfy.tokenFile";
        let text = secret::read_secret(file, option)?;
        let token = text.trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Failure::lasting(
                format!("has no token: {file} ({option}) does not hold one word"),
                format!("write the token of an ntfy user into {file}, and nothing else"),
            ));
        }
        headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
    }
    // 3 is the default, 4 makes a longer noise.
    let (priority, tag) = match message.priority {
        NotificationPriority::Good => (3, "white_check_mark"),
        NotificationPriority::Doubtful => (4, "warning"),
        NotificationPriority::Bad => (4, "rotating_light"),
    };
    let body = json!({
        "topic": topic,
        "title": message.title,
        "message": text::shorten_text(&message.body, LONGEST),
        "priority": priority,
        "tags": [tag],
    });
    let post = Post {
        address: Address::plain(to.url, OPTION),
        headers,
        body: body.to_string().into_bytes(),
    };
    web::post_request(&post, limit)
}

/// The topic, which is in no failure: who knows it can read and write there.
fn read_topic<'a>(to: &Topic<'a>) -> Result<Cow<'a, str>, Failure> {
    let Some(file) = to.topic_file else {
        let none = || Failure::lasting("has no topic", format!("set {OPTION}.topicFile"));
        return to.topic.map(Cow::Borrowed).ok_or_else(none);
    };
    let option = "notifications.ntfy.topicFile";
    let text = secret::read_secret(file, option)?;
    let topic = text.trim();
    if is_ntfy_topic(topic) {
        return Ok(Cow::Owned(topic.to_owned()));
    }
    Err(Failure::lasting(
        format!(
            "has no topic: {file} ({option}) does not hold 1 to 64 letters, digits, `-` and `_`"
        ),
        format!("write the topic's name into {file}, and nothing else"),
    ))
}
