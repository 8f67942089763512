//! A message to an ntfy topic (<https://docs.ntfy.sh/publish/>), published as JSON.

use std::time::Duration;

use schema::config::AbsolutePath;
use serde_json::json;

use super::{
    Message, NotificationPriority,
    attempt::{Failure, Tried},
    secret, text,
    web::{self, Post},
};

const OPTION: &str = "notifications.ntfy";
/// The server turns a longer message into an attachment; in bytes.
const LONGEST: usize = 4000;

/// Publishes it.
pub(super) fn notify_by_ntfy(
    url: &str,
    topic: &str,
    token_file: Option<&AbsolutePath>,
    message: &Message,
    limit: Duration,
) -> Tried {
    let mut headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
    if let Some(file) = token_file {
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
        url,
        option: OPTION,
        headers,
        body: body.to_string().into_bytes(),
    };
    web::post_request(&post, limit)
}
