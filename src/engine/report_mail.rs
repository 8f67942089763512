//! The report that comes by mail (`notifications.report`): sent by whatever runs first in a week or a month, a
//! backup or a health check, and by the next if that fails.
//!
//! When it is due is [`planner::notices`]'s, what it says the crate `report`'s, how it is sent the executor's.

use executor::{
    ErrorKind,
    error::Result,
    event::Event,
    notify::{self, Patience, ReportMail},
    state_dir::StateDir,
    steps,
};
use planner::notices::report_due;
use schema::{
    config::Email,
    journal::NotifiedChannel,
    notified::{FailedMail, MailedReport},
    output::period_report::PeriodReport,
    plan::NOTIFY,
};

use super::{Notice, operation::Operation};

/// What is remembered of a mail while it is handed over.
const UNTOLD: &str = "the process ended while it was sent";

impl Operation<'_> {
    /// Mails the report if it is due. That it could not be sent changes no result: it is told, remembered, and
    /// found by health checks until one is sent.
    pub(super) fn mail_report_if_due(&self) {
        let config = &self.engine.config;
        let wanted = &config.notifications;
        // Whoever sees one of several destinations cannot tell of the whole.
        let (None, Some(_), Some(email)) = (&self.engine.of, wanted.report, &wanted.email) else {
            return;
        };
        // What cannot be remembered would be sent at every run.
        let state = self.engine.state_or_new();
        let mailed = state.and_then(|state| self.mail_if_due(&state, email));
        if let Err(error) = mailed {
            // Another process sends it, or a person ended this one.
            let is_told = ![ErrorKind::Busy, ErrorKind::Interrupted].contains(&error.kind);
            if is_told {
                self.notice(&Notice::ReportNotMailed { error: &error });
            }
        }
    }

    fn mail_if_due(&self, state: &StateDir, email: &Email) -> Result<()> {
        let now = self.engine.now();
        let due = || report_due(&self.engine.config, state.mailed_report().as_ref(), now);
        if due().is_none() {
            return Ok(());
        }
        let _lock = state.lock_report_mail()?;
        // Another process may have sent it meanwhile.
        let Some(since) = due() else {
            return Ok(());
        };
        let before = state.mailed_report().unwrap_or_default();
        let failed = |because: &str, hint: &Option<String>| MailedReport {
            sent_at: before.sent_at,
            failed: Some(FailedMail {
                since: before.failed.as_ref().map_or(now, |failed| failed.since),
                tried_at: now,
                because: because.to_owned(),
                hint: hint.clone(),
            }),
        };
        let told = match self.engine.report_period(since) {
            Err(error) if error.kind == ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                state.remember_mailed_report(&failed(&error.message, &error.hint))?;
                return Err(error);
            }
            Ok(report) => {
                // What cannot be remembered would be sent by every run, and so would what a kill left untold.
                state.remember_mailed_report(&failed(UNTOLD, &None))?;
                self.send(email, &report)
            }
        };
        state.remember_mailed_report(&match told.ok {
            true => MailedReport {
                sent_at: Some(now),
                failed: None,
            },
            false => failed(&told.message, &told.hint),
        })
    }

    fn send(&self, email: &Email, report: &PeriodReport) -> NotifiedChannel {
        let mail = ReportMail {
            subject: &report::mail_subject(report),
            text: &report::plain_text(report),
            html: &report::mail_html(report),
            page: &report::html_page(report),
            page_name: &format!("backup-report-{}.html", report.made_at.format("%Y-%m-%d")),
            now: report.made_at,
        };
        let observer = self.context.observer;
        observer.event(Event::StepStarted { step: NOTIFY });
        let told = notify::send_report(email, &mail, Patience::default(), self.context.stop);
        let outcome = steps::notify::outcome_of_answers(vec![told.clone()]);
        observer.event(Event::StepFinished {
            step: NOTIFY,
            outcome: &outcome,
        });
        told
    }
}
