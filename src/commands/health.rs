//! `health`: whether the backup can be relied on.

use anyhow::Result;
use chrono::{DateTime, FixedOffset, Local};
use executor::{
    Error, ErrorKind,
    clock::Clock,
    event::{Context, Event},
    health::{measure, read_share},
    state_dir::StateDir,
};
use planner::findings::code;
use schema::{
    Config, Finding, Inventory, Severity,
    health::{Health, HealthVerdict, Measured, VerifiedShare},
};

use crate::{
    cli,
    commands::{apply::Worker, plan::bar},
    exit, metrics, notices,
    out::Out,
    render,
    settings::Settings,
    take,
};

/// Checks, remembers the result and shows it. With a time that is only supposed nothing is
/// remembered.
pub(crate) fn run(arguments: &cli::Health, settings: &Settings, out: &Out) -> Result<u8> {
    let config = settings.config(out)?;
    let health = match arguments.at.now {
        Some(now) => {
            let bar = bar(settings);
            let context = Context {
                observer: &bar,
                stop: &settings.stop,
                clock: Clock::at(now),
                threads: settings.threads,
            };
            let health = check(settings, &config, now, Measured::default(), context)?;
            bar.clear();
            health
        }
        None => remembered(arguments, settings, out, &config)?,
    };
    show(&health, settings, out);
    Ok(match health.verdict {
        HealthVerdict::Ok => exit::DONE,
        HealthVerdict::Warning => exit::INCOMPLETE,
        HealthVerdict::Error => exit::FAILED,
    })
}

/// A check as of now, whose result is kept and logged.
fn remembered(
    arguments: &cli::Health,
    settings: &Settings,
    out: &Out,
    config: &Config,
) -> Result<Health> {
    let now = Local::now().fixed_offset();
    let worker = Worker::new(settings, out, config, now)
        .shows_plan()
        .of_health();
    worker.with(|context| {
        let state = StateDir::open_or_new(&settings.state_dir);
        let mut measured = Measured::default();
        if let (Ok(state), false) = (&state, arguments.quick) {
            match share(config, state, context) {
                Ok(read) => measured.verified = read,
                Err(error) if error.kind == ErrorKind::Interrupted => return Err(error.into()),
                Err(error) => measured.not_verified = Some(error.message),
            }
        }
        let mut health = check(settings, config, now, measured, context)?;
        let checked = format!("checked: {}", planner::health::summary(&health));
        let checked = Finding::new(Severity::Note, code::HEALTH_CHECKED, checked);
        for finding in [&checked].into_iter().chain(&health.findings) {
            context.observer.event(Event::Noticed(finding));
        }
        let last = state.as_ref().ok().and_then(StateDir::health);
        let is_news = planner::health::is_news(&health, last.as_ref());
        if health.verdict != HealthVerdict::Ok && !is_news {
            health.told_at = last.and_then(|last| last.told_at);
        }
        let remember = |health: &Health| match &state {
            Ok(state) => state.remember_health(health).err(),
            Err(error) => Some(Error::failed(error.message.clone())),
        };
        if let Some(error) = remember(&health) {
            out.say(&format!("note: this is not remembered: {}", error.message));
        }
        // Remembered before, because telling may take its time and be ended.
        if is_news && notices::of_health(config, &health, context) {
            health.told_at = Some(context.clock.now());
            remember(&health);
        }
        metrics::write(settings, config, out);
        Ok(health)
    })
}

/// Reads the next share of what is stored, where that is asked for and the drive is there.
fn share(
    config: &Config,
    state: &StateDir,
    context: Context<'_>,
) -> executor::Result<Option<VerifiedShare>> {
    let wanted = config.monitoring.verify_subset;
    let Some(wanted) = wanted.filter(|_| config.local.enable) else {
        return Ok(None);
    };
    match take::store(config)? {
        Some(store) => read_share(state, &store, wanted, context),
        None => Ok(None),
    }
}

/// Measures the rest and judges it.
fn check(
    settings: &Settings,
    config: &Config,
    now: DateTime<FixedOffset>,
    read: Measured,
    context: Context<'_>,
) -> Result<Health> {
    let state = StateDir::open(&settings.state_dir)?;
    let enabled = config.local.enable;
    let found = enabled.then(|| take::destination(settings, config, context));
    let (destination, destination_fault) = match found.transpose() {
        Ok(found) => (found, None),
        Err(error) if error.kind == ErrorKind::Interrupted => return Err(error.into()),
        Err(error) => (None, Some(error.message)),
    };
    let store = if enabled {
        take::store(config)
    } else {
        Ok(None)
    };
    let store = store.ok().flatten();
    let measured = measure(config, state.as_ref(), store.as_ref(), context)?;
    let measured = Measured {
        verified: read.verified,
        not_verified: read.not_verified,
        destination_fault,
        ..measured
    };
    let inventory = Inventory {
        cloud: config
            .cloud
            .enable
            .then(|| take::remembered(settings, config))
            .flatten(),
        rsync: (config.local.enable && config.local.use_rsync).then(executor::scan::rsync),
        ..take::inventory_of(settings, now, destination)?
    };
    Ok(planner::health::check(config, &inventory, &measured))
}

fn show(health: &Health, settings: &Settings, out: &Out) {
    if settings.json {
        out.data_json(health);
    } else if !settings.quiet {
        out.data(&render::health::health_page(health, &settings.style));
    } else if health.verdict != HealthVerdict::Ok {
        out.note(&render::health::health_page(health, &settings.error_style));
    }
}
