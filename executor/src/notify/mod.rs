//! Telling people: what a run came to, over every channel at once.
//!
//! Owns who is told of which result, how often and how long each channel is tried, and what is said
//! of those that could not be told. Nothing here fails: whatever happens is an answer for the
//! report. Secrets are read from their files when they are needed and go nowhere else.

mod attempt;
mod command;
mod desktop;
mod healthcheck;
mod mail;
mod ntfy;
mod program;
mod secret;
pub mod text;
mod web;
mod webhook;

use std::{
    thread::ScopedJoinHandle,
    time::{Duration, Instant},
};

use chrono::{DateTime, FixedOffset};
use schema::{
    RunResult,
    config::Email,
    journal::NotifiedChannel,
    plan::{AnnounceStep, Channel, NotifyStep},
};

use self::attempt::{Failure, Tried};
use crate::{event::Stop, threads::start_scoped_thread};

pub use text::{Message, News, NotificationPriority, Occasion};

/// How long and how often each channel is tried.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Longest time that one try may take.
    pub each: Duration,
    /// Tries.
    pub tries: u32,
    /// Pause after the first failure; twice that after the second, and so on.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            each: Duration::from_secs(10),
            tries: 3,
            pause: Duration::from_secs(1),
        }
    }
}

/// The channels of a step that are to be told of this result, which is that of the destinations that were served
/// ([`schema::Report::result_of_served`]).
///
/// A dead man's switch is pinged whatever is asked for, because it takes silence for a failure.
/// Only what was deferred, or stopped on request, is no sign of anything: it is tried again, and
/// the switch goes off by itself in time.
#[must_use]
pub fn wanted_channels(step: &NotifyStep, result: RunResult) -> Vec<Channel> {
    let asked = match result {
        RunResult::Success => step.on_success,
        RunResult::Incomplete | RunResult::Failed | RunResult::Refused => step.on_failure,
        RunResult::Deferred | RunResult::Interrupted => return Vec::new(),
    };
    let channels = step.channels.iter();
    channels
        .filter(|channel| asked || matches!(channel, Channel::Healthcheck { .. }))
        .cloned()
        .collect()
}

/// Tells every channel at once, and waits for all: at most the patience of one channel.
///
/// Whether a result is one to tell of is [`wanted_channels`]'s. Nothing is printed and no error returned;
/// the answers stand in the order of the channels.
#[must_use]
pub fn notify_channels(
    channels: &[Channel],
    news: &News<'_>,
    patience: Patience,
    stop: &Stop,
) -> Vec<NotifiedChannel> {
    let message = &text::compose_message(news);
    std::thread::scope(|scope| {
        let tellers: Vec<_> = channels
            .iter()
            .map(|channel| {
                let try_once = move |limit| match channel {
                    Channel::Desktop => desktop::notify_desktops(message, limit),
                    Channel::Email { to, from } => {
                        mail::notify_by_mail(to, from, news, message, limit)
                    }
                    Channel::Ntfy {
                        url,
                        topic,
                        topic_file,
                        token_file,
                    } => {
                        let to = ntfy::Topic {
                            url,
                            topic: topic.as_deref(),
                            topic_file: topic_file.as_ref(),
                            token_file: token_file.as_ref(),
                        };
                        ntfy::notify_by_ntfy(&to, message, limit)
                    }
                    Channel::Webhook {
                        url,
                        url_file,
                        headers_file,
                    } => webhook::notify_by_webhook(
                        url.as_deref(),
                        url_file.as_ref(),
                        headers_file.as_ref(),
                        news.report,
                        limit,
                    ),
                    Channel::Healthcheck { url, url_file } => healthcheck::ping_healthcheck(
                        healthcheck::Switch {
                            url: url.as_deref(),
                            url_file: url_file.as_ref(),
                        },
                        healthcheck::ping_of(news),
                        message,
                        limit,
                    ),
                    Channel::Command { program } => {
                        command::notify_by_command(program, news.report, limit)
                    }
                };
                let tell = move || try_often(patience, stop, try_once);
                // Without a thread the channels wait for each other.
                let teller = start_scoped_thread(scope, "notify", tell).map_err(|_| tell());
                (channel, teller)
            })
            .collect();
        tellers
            .into_iter()
            .map(|(channel, teller)| {
                let joined = teller.map_or_else(Ok, ScopedJoinHandle::join);
                let (answer, tries) = joined.unwrap_or_else(|_| {
                    let failure = Failure::lasting("ended in a fault of this program", "");
                    (Err(failure), 1)
                });
                channel_answer(channel, answer, tries)
            })
            .collect()
    })
}

/// A report over a period, as it is mailed.
#[derive(Debug, Clone, Copy)]
pub struct ReportMail<'a> {
    /// The line that a reader sees first.
    pub subject: &'a str,
    /// What it says, as text.
    pub text: &'a str,
    /// The same in HTML.
    pub html: &'a str,
    /// The whole page, which goes with it.
    pub page: &'a str,
    /// Its name.
    pub page_name: &'a str,
    /// When it is sent.
    pub now: DateTime<FixedOffset>,
}

/// Sends a report over a period to whom `notifications.email` names.
#[must_use]
pub fn send_report(
    email: &Email,
    report: &ReportMail<'_>,
    patience: Patience,
    stop: &Stop,
) -> NotifiedChannel {
    let Email { to, from } = email.clone();
    let (answer, tries) = try_often(patience, stop, |limit| {
        mail::mail_report(&to, &from, report, limit)
    });
    channel_answer(&Channel::Email { to, from }, answer, tries)
}

/// Tells a dead man's switch that a run starts.
#[must_use]
pub fn announce_start(step: &AnnounceStep, patience: Patience, stop: &Stop) -> NotifiedChannel {
    let AnnounceStep { url, url_file } = step.clone();
    let channel = Channel::Healthcheck { url, url_file };
    let switch = healthcheck::Switch {
        url: step.url.as_deref(),
        url_file: step.url_file.as_ref(),
    };
    let (answer, tries) = try_often(patience, stop, |limit| {
        healthcheck::ping_start(switch, limit)
    });
    channel_answer(&channel, answer, tries)
}

fn channel_answer(channel: &Channel, answer: Tried, tries: u32) -> NotifiedChannel {
    let (option, whom) = (channel.option(), channel.name());
    let (ok, message, hint) = match answer {
        Ok(said) => (true, said.unwrap_or_else(|| format!("told {whom}")), None),
        Err(failure) => {
            let times = match tries {
                1 => String::new(),
                many => format!(", {many} times"),
            };
            let message = format!("{whom} ({option}) {}{times}", failure.because);
            let hint = Some(failure.hint).filter(|hint| !hint.is_empty());
            (false, message, hint)
        }
    };
    NotifiedChannel {
        option: option.to_owned(),
        whom,
        ok,
        message,
        hint,
        tries,
    }
}

/// Tries until it works, cannot work, or patience or the caller ends it.
fn try_often(
    patience: Patience,
    stop: &Stop,
    try_once: impl Fn(Duration) -> Tried,
) -> (Tried, u32) {
    let mut pause = patience.pause;
    let mut tries = 0;
    loop {
        let answer = try_once(patience.each);
        tries += 1;
        let again = matches!(&answer, Err(failure) if failure.again);
        if !again || tries >= patience.tries || !wait_unless_stopped(pause, stop) {
            return (answer, tries);
        }
        pause *= 2;
    }
}

/// Waits; false if it was asked to stop meanwhile.
fn wait_unless_stopped(pause: Duration, stop: &Stop) -> bool {
    const LOOK: Duration = Duration::from_millis(50);
    let since = Instant::now();
    while !stop.is_asked() {
        let left = pause.saturating_sub(since.elapsed());
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(left.min(LOOK));
    }
    false
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const QUICK: Patience = Patience {
        each: Duration::from_secs(10),
        tries: 3,
        pause: Duration::from_millis(1),
    };

    fn step(on_success: bool, on_failure: bool) -> NotifyStep {
        NotifyStep {
            on_success,
            on_failure,
            channels: vec![
                Channel::Desktop,
                Channel::Healthcheck {
                    url: Some("https://hc".to_owned()),
                    url_file: None,
                },
            ],
            last_good: None,
        }
    }

    #[test]
    fn people_are_told_of_what_they_asked_for_and_a_switch_of_everything() {
        use RunResult::{Deferred, Failed, Incomplete, Interrupted, Refused, Success};
        let count = |step: &NotifyStep, result| wanted_channels(step, result).len();
        for failure in [Failed, Incomplete, Refused] {
            assert_eq!(count(&step(false, true), failure), 2);
            assert_eq!(count(&step(true, false), failure), 1);
        }
        assert_eq!(count(&step(true, false), Success), 2);
        assert_eq!(count(&step(false, true), Success), 1);
        for passing in [Deferred, Interrupted] {
            assert_eq!(count(&step(true, true), passing), 0);
        }
    }

    #[test]
    fn what_may_pass_is_tried_three_times_and_what_lasts_once() {
        let calls = AtomicU32::new(0);
        let count = |failure: fn() -> Tried| {
            calls.store(0, Ordering::Relaxed);
            let (answer, tries) = try_often(QUICK, &Stop::default(), |_| {
                calls.fetch_add(1, Ordering::Relaxed);
                failure()
            });
            assert_eq!(tries, calls.load(Ordering::Relaxed));
            (answer.is_ok(), tries)
        };
        assert_eq!(count(|| Err(Failure::passing("", ""))), (false, 3));
        assert_eq!(count(|| Err(Failure::lasting("", ""))), (false, 1));
        assert_eq!(count(|| Ok(None)), (true, 1));
    }

    #[test]
    fn whoever_asks_to_stop_is_not_kept_waiting() {
        let stop = Stop::default();
        stop.ask(15);
        let forever = Patience {
            pause: Duration::from_secs(3600),
            ..QUICK
        };
        let (_, tries) = try_often(forever, &stop, |_| Err(Failure::passing("", "")));
        assert_eq!(tries, 1);
    }
}
