//! What is still done when a destination or a source does not answer any more.
//!
//! Whoever is in a call there never comes back. All that does not need it is done by another thread:
//! the journal and the logs say why the run ended, the script after the backup runs, people are told,
//! the locks are let go of; then the process ends. The next run continues.

use std::{path::Path, process, sync::Arc, thread, time::Duration};

use anyhow::Result;
use chrono::Local;
use executor::{Error, event::Stop, journal, lock, settle, state_dir::StateDir, threads, watch};
use planner::check;
use schema::{Config, RunResult};

use crate::{
    cli::{Cli, Verb},
    commands::{self, apply::Worker},
    exit, explain, guard, metrics, notices,
    out::Out,
    settings::Settings,
};

/// How long all of it may take: the script's five minutes, and telling people.
const LONGEST: Duration = Duration::from_secs(600);

/// Has the program end when something that it works on falls silent.
pub(crate) fn listen(cli: &Arc<Cli>, stop: &Stop) {
    let (cli, stop) = (Arc::clone(cli), stop.clone());
    watch::ends_by(move |mount_point| {
        // Whoever can still hear it stops.
        stop.ask(15);
        guard::fell_silent(mount_point);
        lock::let_go();
        end(&cli, mount_point, journal::was_written());
    });
}

/// Says that a mount does not answer any more, does what is owed, and ends the process. `begun` says
/// whether a run was.
pub(crate) fn end(cli: &Cli, mount_point: &Path, begun: bool) -> ! {
    // Whatever of it does not answer either.
    let _ = threads::start("last", || {
        thread::sleep(LONGEST);
        process::exit(exit::FAILED.into());
    });
    watch::never_again(mount_point);
    let settings = &Settings::new(&cli.global);
    let out = &Out::new(settings.quiet);
    let config = std::fs::read(&settings.config_path).ok();
    let config = config.and_then(|bytes| check::check(&bytes).ok());
    let config = config.map(|checked| checked.config);
    let error = error(config.as_ref(), mount_point);
    let shown = match &cli.verb {
        // What they say without it is what was asked for.
        Verb::Status(at) => commands::status::run(at, settings, out),
        Verb::Health(health) => commands::health::run(health, settings, out),
        _ => Err(error.clone().into()),
    };
    let code = shown.unwrap_or_else(|error| explain(&error, settings, out));
    if let Some(config) = &config {
        let _ = tell(&cli.verb, &error, begun, settings, config, out);
    }
    process::exit(code.max(exit::FAILED).into());
}

/// What fell silent, by the option that names it.
fn error(config: Option<&Config>, mount_point: &Path) -> Error {
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
fn tell(
    verb: &Verb,
    error: &Error,
    begun: bool,
    settings: &Settings,
    config: &Config,
    out: &Out,
) -> Result<()> {
    let (scheduled, part) = match verb {
        Verb::Apply(apply) => (apply.if_due, apply.only.is_some()),
        Verb::Now(_) => (false, false),
        _ => return Ok(()),
    };
    let worker = Worker::new(settings, out, config, Local::now().fixed_offset());
    let state = StateDir::open(&settings.state_dir)?;
    worker.with(|context| {
        match state.filter(|_| begun) {
            // Whoever waits for it, or continues it, does the rest.
            Some(state) if part => settle::say_why(&state, &error.message, context)?,
            Some(state) => {
                let because = &error.message;
                settle::settle(&state, because, RunResult::Failed, context)?;
            }
            None if part => {}
            None => {
                let error = error.clone().into();
                notices::of_error(settings, config, &error, scheduled, context);
            }
        }
        Ok(())
    })?;
    if !part {
        metrics::write(settings, config, out);
    }
    Ok(())
}
