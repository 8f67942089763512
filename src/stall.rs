//! What is still done when a destination or a source does not answer any more.
//!
//! Whoever is in a call there never comes back. All that does not need it is done by another thread:
//! the journal and the logs say why the run ended, the script after the backup runs, people are told,
//! the locks are let go of; then the process ends. The next run continues.

use std::{path::Path, process, sync::Arc, thread, time::Duration};

use anyhow::Result;
use backup::engine::StalledRun;
use executor::{Error, event::Stop, journal, lock, threads, watch};
use planner::check;
use schema::Config;

use crate::{
    cli::{Cli, Verb},
    commands, exit, explain_error,
    out::Out,
    screen::Screen,
    settings::Settings,
    supervisor,
};

/// How long all of it may take: the script's five minutes, and telling people.
const LONGEST: Duration = Duration::from_secs(600);

/// Has the program end when something that it works on falls silent.
pub(crate) fn end_on_stall(cli: &Arc<Cli>, stop: &Stop) {
    let (cli, stop) = (Arc::clone(cli), stop.clone());
    watch::set_program_end(move |mount_point| {
        // Whoever can still hear it stops.
        stop.ask(15);
        supervisor::report_stall(mount_point);
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
    let settings = &Settings::new(&cli.global);
    let out = &Out::new(settings.quiet);
    let config = std::fs::read(&settings.config_path).ok();
    let config = config.and_then(|bytes| check::check(&bytes).ok());
    let config = config.map(|checked| checked.config);
    let error = stall_error(config.as_ref(), mount_point);
    let shown = match &cli.verb {
        // What they say without it is what was asked for.
        Verb::Status(at) => commands::status::show_status(at, settings, out),
        Verb::Health(health) => commands::health::check_health(health, settings, out),
        _ => Err(error.clone().into()),
    };
    let code = shown.unwrap_or_else(|error| explain_error(&error, settings, out));
    if let Some(config) = config {
        let _ = settle_stalled(&cli.verb, &error, begun, settings, config, out);
    }
    process::exit(code.max(exit::FAILED).into());
}

/// What fell silent, by the option that names it.
fn stall_error(config: Option<&Config>, mount_point: &Path) -> Error {
    let path = mount_point.display();
    let local = config.map(|config| &config.local);
    let is_in = |path: &Path| path.starts_with(mount_point);
    let destination = local.is_some_and(|local| local.enable && is_in(local.mount_point.as_path()));
    let source = local.is_some_and(|local| local.sources.iter().any(|one| is_in(one.as_path())));
    let (what, hint) = match (destination, source) {
        (true, _) => (
            "the destination does not answer any more",
            "look after the drive, the server or the connection; then run `backup apply`, which \
             continues where it stopped",
        ),
        (false, true) => (
            "a source does not answer any more",
            "look after the server or the program behind it, or unmount it; `backup apply` goes on, \
             and leaves it out while it does not answer",
        ),
        (false, false) => (
            "a file system does not answer any more",
            "look after the server or the program behind it, or unmount it; then try again",
        ),
    };
    let option = match (destination, source) {
        (true, _) => " (local.mountPoint)",
        (false, true) => " (local.sources)",
        (false, false) => "",
    };
    Error::failed(format!("{what}: {path}{option}")).hint(hint)
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
        Verb::Apply(apply) => (commands::apply::timer_call(apply), apply.only.is_some()),
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
        .settle_stalled(stalled, error, &screen);
    screen.clear();
    Ok(settled?)
}
