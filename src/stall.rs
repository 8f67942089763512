//! What is still done when a destination or a source does not answer any more.
//!
//! Whoever is in a call there never comes back. All that does not need it is done by another thread:
//! the journal and the logs say why the run ended, the script after the backup runs, people are told,
//! the locks are let go of; then the process ends. The next run continues.

use std::{path::Path, process, sync::Arc, thread, time::Duration};

use anyhow::Result;
use backup::engine::{StalledRun, check_bytes};
use executor::{
    Error,
    bounded::{LONGEST_CONFIG, read_file},
    event::Stop,
    journal, lock, threads, watch,
};
use planner::unanswered::{Unanswered, describe_unanswered};
use schema::Config;

use crate::{
    cli::{Cli, Verb},
    commands, exit, explain_error,
    out::Out,
    screen::Screen,
    settings::Settings,
    supervised,
};

/// How long all of it may take: the script's five minutes, and telling people.
const LONGEST: Duration = Duration::from_secs(600);

/// Has the program end when something that it works on falls silent.
pub(crate) fn end_on_stall(cli: &Arc<Cli>, stop: &Stop) {
    let (cli, stop) = (Arc::clone(cli), stop.clone());
    watch::set_program_end(move |mount_point| {
        // Whoever can still hear it stops.
        stop.ask(15);
        // What is said next is to be read.
        browse::leave_screen();
        supervised::report_stall(mount_point);
        lock::release_all_locks();
        end_stalled(&cli, mount_point, journal::was_written());
    });
}

/// Says that a mount does not answer any more, does what is owed, and ends the process. `begun` says
/// whether a run was.
pub(crate) fn end_stalled(cli: &Cli, mount_point: &Path, begun: bool) -> ! {
    // Whatever of it does not answer either.
    let _ = threads::start_thread("last", || {
        thread::sleep(LONGEST);
        process::exit(exit::FAILED.into());
    });
    watch::never_wait_again(mount_point);
    let settings = &Settings::new(&cli.global, cli.verb.only_looks());
    let out = &Out::new(settings.quiet);
    let config = read_file(&settings.config_path, LONGEST_CONFIG).ok();
    let config = config.and_then(|bytes| check_bytes(&settings.config_path, &bytes).ok());
    let config = config.map(|checked| checked.config);
    let Unanswered { message, hint } = describe_unanswered(config.as_ref(), mount_point);
    let error = Error::failed(message).hint(hint);
    let shown = match &cli.verb {
        // What they say without it is what was asked for.
        Verb::Status(status) => commands::status::show_status(&status.at, settings, out),
        Verb::Health(health) => commands::health::check_health(health, settings, out),
        _ => Err(error.clone().into()),
    };
    let code = shown.unwrap_or_else(|error| explain_error(&error, settings, out));
    if let Some(config) = config {
        let _ = settle_stalled(&cli.verb, &error, begun, settings, config, out);
    }
    process::exit(code.max(exit::FAILED).into());
}

/// Does what the run owes that was begun, or tells of one that could not be.
fn settle_stalled(
    verb: &Verb,
    error: &Error,
    has_begun: bool,
    settings: &Settings,
    config: Config,
    out: &Out,
) -> Result<()> {
    let (timer, is_part) = match verb {
        Verb::Apply(apply) => (commands::apply::timer_call(apply), !apply.only.is_empty()),
        Verb::Now(_) => (None, false),
        _ => return Ok(()),
    };
    let stalled = StalledRun {
        has_begun,
        is_part,
        timer,
    };
    let screen = Screen::new(settings, out);
    let settled = settings
        .engine_for(config)
        .finish_stalled(stalled, error, &screen);
    screen.clear();
    Ok(settled?)
}
