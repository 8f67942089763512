//! Mail through a real msmtp to a small SMTP server, and through a program that only records.

use std::{
    ffi::OsString,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use serde_json::json;

use super::{FIRST, lab};
use crate::lab::{Lab, Ran, is_installed, run_command, skip, wait_for};

/// An SMTP server that keeps what it gets, each mail with its envelope.
struct Sink {
    port: u16,
    mails: Arc<Mutex<Vec<String>>>,
}

impl Sink {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mails = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&mails);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mail = take(stream.unwrap());
                kept.lock().unwrap().extend(mail);
            }
        });
        Self { port, mails }
    }
}

/// One session (RFC 5321).
fn take(stream: TcpStream) -> Option<String> {
    let mut out = stream.try_clone().unwrap();
    let mut say = |text: &str| out.write_all(format!("{text}\r\n").as_bytes()).ok();
    let mut mail = String::new();
    let mut lines = BufReader::new(stream).lines();
    say("220 sink")?;
    while let Some(Ok(line)) = lines.next() {
        let line = line.trim_end().to_owned();
        match line.split([' ', ':']).next()?.to_uppercase().as_str() {
            "DATA" => {
                say("354 go on")?;
                for line in lines.by_ref() {
                    let line = line.ok()?;
                    let line = line.trim_end_matches('\r');
                    if line == "." {
                        break;
                    }
                    mail += line;
                    mail.push('\n');
                }
                say("250 kept")?;
            }
            "QUIT" => {
                say("221 bye")?;
                break;
            }
            "MAIL" | "RCPT" => {
                mail += &line;
                mail.push('\n');
                say("250 ok")?;
            }
            _ => say("250 ok")?,
        }
    }
    Some(mail)
}

/// Puts a script before all else on the path as the machine's sendmail.
pub(super) fn with_sendmail(lab: &Lab, body: &str, arguments: &[&str]) -> Ran {
    lab.script("bin/sendmail", body);
    let mut path = OsString::from(lab.path("bin"));
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    let mut command = lab.command(arguments);
    command.env("PATH", path);
    run_command(command, arguments)
}

pub(super) fn mailing() -> Lab {
    let mut lab = lab();
    lab.set("hostname", "m\u{fc}nchen");
    lab.set(
        "notifications.email",
        json!({ "to": "ann@example.org", "from": "root@atlas.example.org" }),
    );
    lab
}

#[test]
fn a_failure_arrives_as_a_mail_that_any_reader_understands() {
    if !is_installed("msmtp") {
        skip("a_failure_arrives_as_a_mail because there is no msmtp");
        return;
    }
    let mut lab = mailing();
    lab.set("preBackupScript", lab.script("vorpr\u{fc}fung", "exit 9"));
    let sink = Sink::new();
    let msmtp = format!(
        "exec msmtp --host=127.0.0.1 --port={} --auth=off --tls=off \"$@\"",
        sink.port
    );
    with_sendmail(&lab, &msmtp, &["apply", "--now", FIRST]).expect(1);
    wait_for("the mail", || !sink.mails.lock().unwrap().is_empty());
    let mails = sink.mails.lock().unwrap();
    assert_eq!(mails.len(), 1);
    let mail = &mails[0];
    assert!(
        mail.contains("MAIL FROM:<root@atlas.example.org>"),
        "{mail}"
    );
    assert!(mail.contains("RCPT TO:<ann@example.org>"), "{mail}");
    let (head, body) = mail.split_once("\n\n").unwrap();
    assert!(
        mail.is_ascii() && mail.lines().all(|line| line.len() <= 78),
        "{mail}"
    );
    for header in [
        "From: <root@atlas.example.org>",
        "To: <ann@example.org>",
        "Date: ",
        "Message-ID: <",
        "MIME-Version: 1.0",
        "Auto-Submitted: auto-generated",
        "Subject: =?utf-8?",
    ] {
        let there = head.lines().any(|line| line.starts_with(header));
        assert!(there, "{header}: {mail}");
    }
    // Quoted-printable: long lines are broken, and what is not ASCII is encoded.
    let body = body.replace("=\n", "");
    assert!(
        body.contains("vorpr=C3=BCfung failed with exit code 9"),
        "{mail}"
    );
}

#[test]
fn what_sendmail_says_decides_what_is_done() {
    let lab = mailing();
    let count = lab.text("count");
    let tried = |exit: u8| {
        let _ = fs::remove_file(&count);
        // A recording stand-in: what no mail system can be made to answer at will.
        let body = format!("echo \"$@\" >> '{count}'; cat > /dev/null; echo why >&2; exit {exit}");
        let told = with_sendmail(&lab, &body, &["notify-test"]);
        let calls = fs::read_to_string(&count).unwrap();
        assert!(
            calls.starts_with("-oi -f root@atlas.example.org ann@example.org\n"),
            "{calls}"
        );
        (told, calls.lines().count())
    };
    let (told, tries) = tried(0);
    assert_eq!(tries, 1);
    told.expect(0).says("told mail to ann@example.org");
    let (told, tries) = tried(75);
    assert_eq!(tries, 3);
    told.expect(1)
        .says("failed with exit code 75: why, 3 times")
        .hints("try by hand");
    for (exit, hint) in [(67, "notifications.email.to"), (78, "mail system")] {
        let (told, tries) = tried(exit);
        assert_eq!(tries, 1);
        told.expect(1).says("why").hints(hint);
    }
}
