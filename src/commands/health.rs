//! `health`: whether the backup can be relied on.

use anyhow::Result;
use backup::engine::HealthRequest;
use schema::{
    config::DestinationName,
    health::{Health, HealthVerdict},
};

use crate::{cli, exit, out::Out, render, screen::Screen, settings::Settings};

/// Checks, and shows the result; it is remembered unless a time is only supposed.
pub(crate) fn check_health(arguments: &cli::Health, settings: &Settings, out: &Out) -> Result<u8> {
    let engine = settings.open_engine_at(arguments.at.now, out)?;
    let request = HealthRequest {
        quick: arguments.quick,
        dry_run: arguments.dry_run,
    };
    let screen = Screen::new(settings, out);
    // Of a check that is remembered the findings are shown below, with its verdict.
    let screen = match arguments.at.now {
        None if !arguments.dry_run => screen.without_notes(),
        _ => screen,
    };
    let checked = engine.check_health(request, &screen);
    screen.clear();
    let health = checked?;
    let base = engine.config().base_name();
    show_health(&health, base.as_ref(), settings, out);
    Ok(match health.verdict {
        HealthVerdict::Ok => exit::DONE,
        HealthVerdict::Warning => exit::INCOMPLETE,
        HealthVerdict::Error => exit::FAILED,
    })
}

fn show_health(health: &Health, base: Option<&DestinationName>, settings: &Settings, out: &Out) {
    if settings.json {
        out.print_json(health);
    } else if !settings.quiet {
        out.print_data(&render::health::health_page(health, base, &settings.style));
    } else if health.verdict != HealthVerdict::Ok {
        out.print_message(&render::health::health_page(
            health,
            base,
            &settings.error_style,
        ));
    }
}
