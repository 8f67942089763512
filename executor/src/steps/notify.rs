//! Tells people of the start and of the result. Whatever happens here never changes the result.

use schema::{
    Report,
    journal::{NotifiedChannel, Outcome, Status},
    plan::{AnnounceStep, LastGood, NotifyStep},
};

use crate::{
    event::Context,
    notify::{self, News, Occasion, Patience},
    watch::Pause,
};

/// Tells a dead man's switch that the run starts.
#[must_use]
pub fn run_announce_step(step: &AnnounceStep, context: Context<'_>) -> Outcome {
    let _pause = Pause::new();
    outcome_of_answers(vec![notify::announce_start(
        step,
        Patience::default(),
        context.stop,
    )])
}

/// Tells the channels of a step, as far as the result is one to tell of.
///
/// `last_good` is the newest good snapshot that was there before the run.
#[must_use]
pub fn run_notify_step(
    step: &NotifyStep,
    report: &Report,
    last_good: Option<LastGood>,
    context: Context<'_>,
) -> Outcome {
    let _pause = Pause::new();
    let channels = notify::wanted_channels(step, report.result_of_served());
    if channels.is_empty() {
        return Outcome::success(format!(
            "nobody asked to be told of {}",
            report.result.word()
        ));
    }
    let news = News {
        report,
        last_good,
        now: context.clock.now(),
        occasion: Occasion::Result,
    };
    outcome_of_answers(notify::notify_channels(
        &channels,
        &news,
        Patience::default(),
        context.stop,
    ))
}

/// What telling these channels came to: incomplete if any was not told.
#[must_use]
pub fn outcome_of_answers(told: Vec<NotifiedChannel>) -> Outcome {
    let of = |ok: bool| -> Vec<&str> {
        let these = told.iter().filter(|one| one.ok == ok);
        these.map(|one| one.message.as_str()).collect()
    };
    let failed = of(false);
    let hint = told.iter().find_map(|one| one.hint.clone());
    let message = if failed.is_empty() {
        of(true).join(", ")
    } else {
        failed.join("; ")
    };
    Outcome {
        status: if failed.is_empty() {
            Status::Succeeded
        } else {
            Status::Incomplete
        },
        message,
        hint,
        told,
        ..Outcome::default()
    }
}
