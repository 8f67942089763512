use serde_json::{Value, json};

use super::tests::{accepted, refused};

#[test]
fn addresses() {
    let with = |key: &str, value: Value| json!({ "notifications": { key: value } });
    refused(
        with("email", json!({ "to": "x", "from": "a@b" })),
        "notifications.email.to: ",
    );
    refused(
        with("email", json!({ "to": "a@b", "from": "a@b\nBcc: c" })),
        "notifications.email.from",
    );
    refused(
        with("email", json!({ "to": "-a@b", "from": "a@b" })),
        "not starting with `-`",
    );
    for bad in [
        "a@",
        "@b",
        "a@b@c",
        "a@b,c@d",
        "A <a@b>",
        "a b@c",
        "gr\u{fc}n@b",
        "\"a\"@b",
    ] {
        refused(
            with("email", json!({ "to": bad, "from": "a@b" })),
            "notifications.email.to: ",
        );
    }
    for bad in [
        "",
        "example.org",
        "https://",
        "https:///x",
        "https://a b",
        "file:///x",
        "https://a#b",
        "https://ann:secret@a/b",
        "https://a:b",
        "https://a:70000",
        "https://a:0",
        "https://[::1",
        "https://[fe80]",
        "https://gr\u{fc}n.example.org",
        "https://a/\u{7f}",
    ] {
        refused(
            with("webhook", json!({ "url": bad })),
            "notifications.webhook.url: ",
        );
    }
    for (channel, plain, file) in [
        ("webhook", "url", "urlFile"),
        ("healthcheck", "url", "urlFile"),
        ("ntfy", "topic", "topicFile"),
    ] {
        let given = |keys: &[(&str, &str)]| {
            let mut given = json!({});
            if channel == "ntfy" {
                given["url"] = json!("http://a");
            }
            for (key, value) in keys {
                given[*key] = json!(value);
            }
            with(channel, given)
        };
        let value = if plain == "url" { "http://a/b" } else { "b" };
        let option = format!("notifications.{channel}: ");
        refused(given(&[]), &option);
        refused(given(&[(plain, value), (file, "/run/keys/a")]), &option);
        accepted(given(&[(file, "/run/keys/a")]));
        accepted(given(&[(plain, value)]));
        refused(
            given(&[(file, "a")]),
            &format!("notifications.{channel}.{file}: "),
        );
    }
    refused(
        with("healthcheck", json!({ "url": "x" })),
        "notifications.healthcheck.url: ",
    );
    refused(
        with("ntfy", json!({ "url": "http://a", "topic": "a/b" })),
        "notifications.ntfy.topic: ",
    );
    refused(
        with(
            "ntfy",
            json!({ "url": "http://a", "topic": "a".repeat(65) }),
        ),
        "notifications.ntfy.topic: ",
    );
    accepted(with("ntfy", json!({ "url": "http://a", "topic": "a-b" })));
}

#[test]
fn notifications_that_reach_nobody() {
    let nobody = json!({ "notifications": { "enable": true, "desktop": false } });
    refused(nobody, "there is no channel");
    let command = json!({ "enable": true, "desktop": false, "command": "/bin/tell" });
    accepted(json!({ "notifications": command }));
}

#[test]
fn every_channel_is_accepted_alone_and_with_the_others() {
    let all = json!({
        "desktop": true,
        "webhook": { "url": "https://a/b?c=d", "headersFile": "/run/keys/headers" },
        "ntfy": { "url": "https://[::1]:8080", "topic": "b", "tokenFile": "/run/keys/token" },
        "healthcheck": { "url": "https://hc.example.org:443/ping/0" },
        "email": { "to": "a+b@example.org", "from": "root@localhost" },
        "command": "/bin/tell",
    });
    for (key, value) in all.as_object().unwrap() {
        let alone = json!({ "enable": true, "desktop": false, key: value });
        accepted(json!({ "notifications": alone }));
    }
    let mut all = all;
    all["enable"] = json!(true);
    accepted(json!({ "notifications": all }));
}
