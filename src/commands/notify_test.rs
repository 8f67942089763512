//! `notify-test`: whether messages arrive, before one has to.

use anyhow::Result;
use schema::output::notify_test::NotifyTest;

use crate::{
    cli,
    commands::outcome,
    exit::{self, invalid_input},
    out::Out,
    render,
    settings::Settings,
};

/// Sends a test message over every configured channel, and shows what became of it.
pub(crate) fn send_test_messages(
    arguments: &cli::NotifyTest,
    settings: &Settings,
    out: &Out,
) -> Result<u8> {
    let engine = settings.open_engine(out)?;
    let notified = match arguments.dry_run {
        true => engine.foretell_notifications(),
        false => engine.test_notifications(),
    };
    if notified.is_empty() {
        return Err(invalid_input(
            "no channel is configured: notifications.desktop is false and all others are null",
            "set a channel, such as notifications.email",
        ));
    }
    if settings.json {
        out.print_json(&NotifyTest::from(notified.as_slice()));
    } else if arguments.dry_run {
        let whom: Vec<String> = notified.into_iter().map(|one| one.whom).collect();
        outcome::show_dry_run(&whom, out);
        return Ok(exit::DONE);
    } else {
        out.print_data(&render::notified::notified_lines(
            &notified,
            &settings.style,
        ));
    }
    if !engine.config().notifications.enable {
        out.print_unless_quiet(
            "note: notifications.enable is false, so nobody is told of real backups",
        );
    }
    let all = notified.iter().all(|one| one.ok);
    Ok(if all || arguments.dry_run {
        exit::DONE
    } else {
        exit::FAILED
    })
}
