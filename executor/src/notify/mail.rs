//! A mail through the machine's sendmail, which every mail system has under that name.

use std::{
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use chrono::{DateTime, FixedOffset};
use mail_builder::{MessageBuilder, headers::raw::Raw};
use schema::shell;

use super::{
    Message, News, ReportMail,
    attempt::{Failure, Tried},
    program::run_notifier,
};
use crate::process::ProcessExit;

/// Where it is on systems whose services do not have it in their PATH.
const PLACES: [&str; 4] = [
    "/run/wrappers/bin/sendmail",
    "/usr/sbin/sendmail",
    "/usr/lib/sendmail",
    "/run/current-system/sw/bin/sendmail",
];

/// Tells of a run by mail.
pub(super) fn notify_by_mail(
    to: &str,
    from: &str,
    news: &News<'_>,
    message: &Message,
    limit: Duration,
) -> Tried {
    let mail = headers(to, from, &news.report.run_id, &message.title, news.now);
    hand_over(to, from, mail.text_body(message.body.as_str()), limit)
}

/// Sends a report over a period.
pub(super) fn mail_report(to: &str, from: &str, report: &ReportMail<'_>, limit: Duration) -> Tried {
    let mail = headers(to, from, "report", report.subject, report.now)
        .text_body(report.text)
        .html_body(report.html)
        .attachment("text/html", report.page_name, report.page.as_bytes());
    hand_over(to, from, mail, limit)
}

/// Hands a mail over.
fn hand_over(to: &str, from: &str, mail: MessageBuilder<'_>, limit: Duration) -> Tried {
    let Some(program) = find_sendmail(std::env::var_os("PATH").as_deref(), &PLACES) else {
        return Err(Failure::lasting(
            "cannot be sent: there is no sendmail on this machine",
            "install a mail system that brings sendmail, such as msmtp-mta or nullmailer",
        ));
    };
    let named = shell::word(program.as_os_str().as_bytes());
    let mail = with_local_ends(mail)
        .map_err(|error| Failure::lasting(format!("cannot be written: {error}"), ""))?;
    let mut command = Command::new(&program);
    // A line with nothing but a dot does not end the mail; bounces go to the sender.
    command.args(["-oi", "-f", from, to]);
    let by_hand = format!(
        "try by hand: `echo test | {named} -oi -f {} {}`",
        shell::word(from),
        shell::word(to)
    );
    let ended = run_notifier(&mut command, mail, limit);
    let how = format!("not sent: {named} {}", ended.with_last_words());
    match &ended.exit {
        exit if exit.is_success() => Ok(None),
        // EX_TEMPFAIL of sysexits(3).
        exit if exit.code() == Some(75) => Err(Failure::passing(how, by_hand)),
        ProcessExit::TimedOut => {
            let how = format!("not sent: {named} did not end within {} s", limit.as_secs());
            Err(Failure::passing(how, by_hand))
        }
        exit => {
            let hint = exit_code_hint(exit.code()).map_or(by_hand, str::to_owned);
            Err(Failure::lasting(how, hint))
        }
    }
}

/// What to do about an exit code of sysexits(3).
fn exit_code_hint(code: Option<i32>) -> Option<&'static str> {
    match code? {
        67 => Some("see whether notifications.email.to is an address that exists"),
        68 => Some("see whether the host in notifications.email.to exists"),
        69 => Some("see whether the machine's mail system runs and reaches its server"),
        77 => Some("see whether the user that runs the backup may send mail"),
        78 => Some("see the configuration of the machine's mail system"),
        _ => None,
    }
}

fn find_sendmail(path: Option<&std::ffi::OsStr>, places: &[&str]) -> Option<PathBuf> {
    let in_path = path.into_iter().flat_map(std::env::split_paths);
    in_path
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join("sendmail"))
        .chain(places.iter().map(PathBuf::from))
        .find(|program| is_program(program))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// What stands above a mail (RFC 5322); `about` says what it is of.
fn headers<'x>(
    to: &'x str,
    from: &'x str,
    about: &str,
    subject: &'x str,
    now: DateTime<FixedOffset>,
) -> MessageBuilder<'x> {
    let in_id = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '.'
        }
    };
    let local: String = about.chars().map(in_id).collect();
    let host = from.rsplit('@').next().unwrap_or("localhost");
    let unique = now.timestamp_micros();
    MessageBuilder::new()
        .from(from)
        .to(to)
        .subject(subject)
        .date(now.timestamp())
        .message_id(format!("{local}.{unique}@{host}"))
        // No vacation note shall answer it (RFC 3834, section 5).
        .header("Auto-Submitted", Raw::new("auto-generated"))
}

/// A mail with the line ends of a local program.
fn with_local_ends(mail: MessageBuilder<'_>) -> std::io::Result<Vec<u8>> {
    let text = mail.write_to_string()?;
    Ok(text.replace("\r\n", "\n").into_bytes())
}
