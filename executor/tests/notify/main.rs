//! Channels against real servers on loopback: what is sent, what is tried again, what is told.
#![allow(missing_docs, clippy::disallowed_methods, clippy::unwrap_used)]

mod server;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use executor::{
    event::Stop,
    notify::{self, News, Occasion, Patience},
};
use schema::{
    Report, RunResult,
    config::AbsolutePath,
    journal::NotifiedChannel,
    plan::{AnnounceStep, Channel},
};
use serde_json::{Value, json};

use crate::server::{Answer, Server};

const SECRET: &str = "tk_s3cret";

/// Long for a server that answers, short for one that does not.
const PATIENCE: Patience = Patience {
    each: Duration::from_secs(10),
    tries: 3,
    pause: Duration::from_millis(1),
};

fn report(result: RunResult) -> Report {
    serde_json::from_value(json!({
        "format_version": 1,
        "run_id": "2025-01-16_02-00-00-8c1f",
        "host": "atlas",
        "started_at": "2025-01-16T02:00:00+01:00",
        "ended_at": "2025-01-16T02:31:00+01:00",
        "result": result,
        "snapshot": null,
        "findings": [],
        "steps": [],
    }))
    .unwrap()
}

fn tell_with(patience: Patience, channel: Channel, result: RunResult) -> NotifiedChannel {
    let report = report(result);
    let news = News {
        report: &report,
        last_good: None,
        now: report.ended_at,
        occasion: Occasion::Result,
    };
    let mut told = notify::notify_channels(&[channel], &news, patience, &Stop::default());
    assert_eq!(told.len(), 1);
    let told = told.remove(0);
    // Whatever happens, what is told of it holds no secret: neither one from a file, nor the path
    // of an address.
    let all = serde_json::to_string(&told).unwrap();
    assert!(!all.contains(SECRET) && !all.contains("/hook"), "{all}");
    assert_eq!(told.ok, told.hint.is_none());
    told
}

fn tell(channel: Channel, result: RunResult) -> NotifiedChannel {
    tell_with(PATIENCE, channel, result)
}

fn webhook(url: String, headers_file: Option<AbsolutePath>) -> Channel {
    Channel::Webhook {
        url: Some(url),
        url_file: None,
        headers_file,
    }
}

fn healthcheck(url: String) -> Channel {
    Channel::Healthcheck {
        url: Some(url),
        url_file: None,
    }
}

fn switch(url: &str) -> AnnounceStep {
    AnnounceStep {
        url: Some(url.to_owned()),
        url_file: None,
    }
}

fn secret_file(folder: &Path, text: &str, mode: u32) -> AbsolutePath {
    let path = folder.canonicalize().unwrap().join("secret");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    AbsolutePath::new(path.to_str().unwrap())
}

#[test]
fn a_webhook_gets_the_report_with_the_headers_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("# hook\nAuthorization: Bearer {SECRET}\nX-Team: ops\n");
    let file = secret_file(folder.path(), &text, 0o600);
    let server = Server::new(&[Answer::Status(204)]);
    let told = tell(
        webhook(server.url("/hook?a=b"), Some(file)),
        RunResult::Failed,
    );
    assert!(told.ok, "{told:?}");
    let asked = &server.asked()[0];
    assert_eq!(asked.what, "POST /hook?a=b");
    for header in [
        "authorization: Bearer tk_s3cret",
        "x-team: ops",
        "content-type: application/json",
    ] {
        assert!(asked.headers.iter().any(|line| line == header), "{asked:?}");
    }
    let got: Report = serde_json::from_str(&asked.body).unwrap();
    assert_eq!(got, report(RunResult::Failed));
}

#[test]
fn an_ntfy_topic_gets_title_message_and_token() {
    let folder = tempfile::tempdir().unwrap();
    let file = secret_file(folder.path(), &format!("{SECRET}\n"), 0o400);
    let server = Server::new(&[Answer::Status(200)]);
    let channel = Channel::Ntfy {
        url: server.url("/"),
        topic: Some("atlas".to_owned()),
        topic_file: None,
        token_file: Some(file),
    };
    let told = tell(channel, RunResult::Failed);
    assert!(told.ok, "{told:?}");
    let asked = &server.asked()[0];
    assert_eq!(asked.what, "POST /");
    assert!(
        asked
            .headers
            .contains(&format!("authorization: Bearer {SECRET}"))
    );
    let got: Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!(got["topic"], "atlas");
    assert_eq!(got["title"], "Backup of atlas: FAILED");
    assert_eq!(got["priority"], 4);
    assert!(
        got["message"]
            .as_str()
            .unwrap()
            .contains("No good snapshot is known of")
    );
}

#[test]
fn a_secret_that_others_can_read_is_refused_and_nothing_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::new(&[Answer::Status(200)]);
    for mode in [0o640, 0o604] {
        let file = secret_file(folder.path(), SECRET, mode);
        let told = tell(
            Channel::Ntfy {
                url: server.url("/"),
                topic: Some("atlas".to_owned()),
                topic_file: None,
                token_file: Some(file.clone()),
            },
            RunResult::Failed,
        );
        assert!(told.message.contains("can be read by others"), "{told:?}");
        assert_eq!(told.hint, Some(format!("`chmod 600 {file}`")));
        let told = tell(webhook(server.url("/hook"), Some(file)), RunResult::Failed);
        assert!(told.message.contains("headersFile"), "{told:?}");
    }
    let file = secret_file(folder.path(), &format!("{SECRET}\nX: y\n"), 0o600);
    let told = tell(webhook(server.url("/hook"), Some(file)), RunResult::Failed);
    assert!(told.message.contains("line 1 of"), "{told:?}");
    let absent = AbsolutePath::new("/nonexistent/secret");
    let told = tell(
        webhook(server.url("/hook"), Some(absent)),
        RunResult::Failed,
    );
    assert!(
        told.message.contains("cannot read /nonexistent/secret"),
        "{told:?}"
    );
    assert_eq!(told.tries, 1);
    assert_eq!(server.asked().len(), 0);
}

#[test]
fn addresses_and_topics_come_from_files_and_no_failure_tells_them() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::new(&[Answer::Status(200)]);
    let in_file = |text: &str| secret_file(folder.path(), text, 0o600);
    let hook = |file: AbsolutePath| Channel::Webhook {
        url: None,
        url_file: Some(file),
        headers_file: None,
    };
    let told = tell(
        hook(in_file(&format!("{}\n", server.url("/hook/1")))),
        RunResult::Failed,
    );
    assert!(told.ok, "{told:?}");
    let file = in_file(&server.url("/hook?a=b"));
    let step = AnnounceStep {
        url: None,
        url_file: Some(file.clone()),
    };
    assert!(notify::announce_start(&step, PATIENCE, &Stop::default()).ok);
    let told = tell(
        Channel::Healthcheck {
            url: None,
            url_file: Some(file),
        },
        RunResult::Success,
    );
    assert!(told.ok, "{told:?}");
    let file = in_file(SECRET);
    let ntfy = |file| Channel::Ntfy {
        url: server.url("/"),
        topic: None,
        topic_file: Some(file),
        token_file: None,
    };
    assert!(tell(ntfy(file), RunResult::Success).ok);
    assert_eq!(
        server.paths(),
        [
            "POST /hook/1",
            "POST /hook/start?a=b",
            "POST /hook?a=b",
            "POST /"
        ]
    );
    assert!(server.asked().pop().unwrap().body.contains(SECRET));

    // Neither what is no address, nor one that leads nowhere, is told with any of its text.
    for (text, word) in [
        (format!("{SECRET}.example.org/hook"), "holds no address"),
        (format!("https://a:{SECRET}@b/hook"), "holds no address"),
        (String::new(), "holds no address"),
        (format!("http://{SECRET}.invalid/hook"), "connection failed"),
        (
            format!("http://127.0.0.1:9/hook/{SECRET}"),
            "connection failed",
        ),
    ] {
        let patience = Patience {
            tries: 1,
            ..PATIENCE
        };
        let told = tell_with(patience, hook(in_file(&text)), RunResult::Failed);
        assert!(!told.ok && told.message.contains(word), "{told:?}");
        assert!(told.hint.unwrap().contains("secret") == (word == "holds no address"));
    }
    let told = tell(ntfy(in_file(&format!("{SECRET}/x"))), RunResult::Failed);
    assert!(told.message.contains("topicFile"), "{told:?}");
    let told = tell(
        ntfy(secret_file(folder.path(), SECRET, 0o644)),
        RunResult::Failed,
    );
    assert!(told.message.contains("can be read by others"), "{told:?}");
}

#[test]
fn a_dead_mans_switch_is_pinged_at_start_success_and_failure() {
    let server = Server::new(&[Answer::Status(200)]);
    let told = notify::announce_start(&switch(&server.url("/ping/0")), PATIENCE, &Stop::default());
    assert!(told.ok, "{told:?}");
    tell(healthcheck(server.url("/ping/0")), RunResult::Success);
    tell(
        healthcheck(server.url("/ping/0?create=1")),
        RunResult::Incomplete,
    );
    assert_eq!(
        server.paths(),
        [
            "POST /ping/0/start",
            "POST /ping/0",
            "POST /ping/0/fail?create=1"
        ]
    );
    assert!(
        server.asked()[2]
            .body
            .starts_with("Backup of atlas: incomplete\n")
    );
}

#[test]
fn a_server_that_fails_is_tried_three_times_and_one_that_refuses_once() {
    let failing = Server::new(&[Answer::Status(500)]);
    let told = tell(webhook(failing.url("/hook"), None), RunResult::Failed);
    assert!(!told.ok && told.tries == 3, "{told:?}");
    assert!(
        told.message
            .contains("answered 500 Internal Server Error, 3 times"),
        "{told:?}"
    );
    assert_eq!(failing.asked().len(), 3);

    let recovering = Server::new(&[
        Answer::Status(503),
        Answer::Status(429),
        Answer::Status(200),
    ]);
    let told = tell(webhook(recovering.url("/hook"), None), RunResult::Failed);
    assert!(told.ok && told.tries == 3, "{told:?}");

    for (code, hint) in [
        (404, "webhook.url"),
        (401, "secret file"),
        (302, "answers itself"),
    ] {
        let refusing = Server::new(&[Answer::Status(code)]);
        let told = tell(webhook(refusing.url("/hook"), None), RunResult::Failed);
        assert!(!told.ok && told.tries == 1, "{told:?}");
        assert!(told.message.contains(&code.to_string()), "{told:?}");
        assert!(told.hint.unwrap().contains(hint));
        // No redirect is followed: only one request came.
        assert_eq!(refusing.paths(), ["POST /hook"]);
    }
}

#[test]
fn a_server_that_is_absent_or_speaks_another_language_is_told_of() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let told = tell(
        webhook(format!("http://127.0.0.1:{port}/hook"), None),
        RunResult::Failed,
    );
    assert!(
        told.message
            .contains("connection failed: connection refused"),
        "{told:?}"
    );
    assert_eq!(told.tries, 3);
    // Without a network the answer may be long in coming.
    let once = Patience {
        each: Duration::from_secs(1),
        tries: 1,
        ..PATIENCE
    };
    let absent = webhook("http://absent.invalid/hook".to_owned(), None);
    let told = tell_with(once, absent, RunResult::Failed);
    assert!(told.hint.unwrap().contains("online"));
    let other = Server::new(&[Answer::Nonsense]);
    let told = tell(webhook(other.url("/hook"), None), RunResult::Failed);
    assert!(
        told.message.contains("another language than HTTP"),
        "{told:?}"
    );
}

#[test]
fn a_server_that_hangs_keeps_nobody_for_long() {
    let hanging = Server::new(&[Answer::Silence]);
    let short = Patience {
        each: Duration::from_millis(300),
        ..PATIENCE
    };
    let told = tell_with(
        short,
        webhook(hanging.url("/hook"), None),
        RunResult::Failed,
    );
    assert!(told.message.contains("did not answer within"), "{told:?}");
    assert_eq!(told.tries, 3);
    // Nor does one that accepts and says nothing before there is a secure connection.
    let url = hanging.url("/hook").replace("http:", "https:");
    let told = tell_with(short, webhook(url, None), RunResult::Failed);
    assert!(told.message.contains("did not answer within"), "{told:?}");
}

#[test]
fn a_channel_that_hangs_does_not_keep_the_others_from_being_told() {
    let (hanging, good) = (
        Server::new(&[Answer::Silence]),
        Server::new(&[Answer::Status(200)]),
    );
    let report = report(RunResult::Failed);
    let news = News {
        report: &report,
        last_good: None,
        now: report.ended_at,
        occasion: Occasion::Result,
    };
    let channels = [
        webhook(hanging.url("/hook"), None),
        healthcheck(good.url("/ping")),
    ];
    let short = Patience {
        each: Duration::from_secs(2),
        tries: 1,
        ..PATIENCE
    };
    let told = notify::notify_channels(&channels, &news, short, &Stop::default());
    assert_eq!(
        told.iter()
            .map(|one| (one.option.as_str(), one.ok))
            .collect::<Vec<_>>(),
        [
            ("notifications.webhook", false),
            ("notifications.healthcheck", true)
        ]
    );
}

#[test]
fn a_command_gets_the_report_and_is_tried_again_only_if_it_asks_for_that() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let script = |body: &str| {
        let path = root.join("tell");
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Channel::Command {
            program: AbsolutePath::new(path.to_str().unwrap()),
        }
    };
    let (got, count) = (root.join("got"), root.join("count"));
    let body = format!(
        "cat > '{}'; echo $BACKUP_RESULT $BACKUP_RUN_ID > '{}.env'",
        got.display(),
        got.display()
    );
    assert!(tell(script(&body), RunResult::Refused).ok);
    let report_got: Report = serde_json::from_slice(&fs::read(&got).unwrap()).unwrap();
    assert_eq!(report_got, report(RunResult::Refused));
    let env = fs::read_to_string(root.join("got.env")).unwrap();
    assert_eq!(env, "refused 2025-01-16_02-00-00-8c1f\n");

    let tried = |exit: &str| {
        let _ = fs::remove_file(&count);
        let told = tell(
            script(&format!(
                "echo x >> '{}'; echo no paper >&2; {exit}",
                count.display()
            )),
            RunResult::Failed,
        );
        let tries = fs::read_to_string(&count).unwrap().lines().count();
        assert_eq!(told.tries as usize, tries);
        (told.message, tries)
    };
    let (message, tries) = tried("exit 75");
    assert!(
        message.contains("failed with exit code 75: no paper, 3 times"),
        "{message}"
    );
    assert_eq!(tries, 3);
    assert_eq!(tried("exit 3").1, 1);
    let (message, _) = tried("kill -9 $$");
    assert!(message.contains("was ended by signal 9"), "{message}");

    let short = Patience {
        each: Duration::from_millis(500),
        ..PATIENCE
    };
    let told = tell_with(short, script("sleep 600 & wait"), RunResult::Failed);
    assert!(told.message.contains("did not end within"), "{told:?}");
    assert_eq!(told.tries, 1);
    let absent = Channel::Command {
        program: AbsolutePath::new("/nonexistent/tell"),
    };
    let told = tell(absent, RunResult::Failed);
    assert!(
        told.message.contains("cannot be run: no such file"),
        "{told:?}"
    );
}
