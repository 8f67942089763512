//! `notify-test`: whether messages arrive, before one has to.

use anyhow::Result;
use chrono::Local;
use executor::notify::{self, News, Occasion, Patience};
use schema::{Config, RunResult, output::notify_test::NotifyTest};

use crate::{
    exit::{self, invalid},
    notices,
    out::Out,
    render,
    settings::Settings,
};

/// Sends a test message over every configured channel, and shows what became of it.
pub(crate) fn run(settings: &Settings, out: &Out) -> Result<u8> {
    let config = settings.config(out)?;
    let channels = all_channels(&config);
    if channels.is_empty() {
        return Err(invalid(
            "no channel is configured: notifications.desktop is false and all others are null",
            "set a channel, such as notifications.email",
        ));
    }
    let now = Local::now().fixed_offset();
    let report = notices::unbegun(&config, now, RunResult::Success, Vec::new());
    let news = News {
        report: &report,
        last_good: None,
        now,
        occasion: Occasion::Test,
    };
    let told = notify::tell(&channels, &news, Patience::default(), &settings.stop);
    if settings.json {
        out.data_json(&NotifyTest::from(told.as_slice()));
    } else {
        out.data(&render::notified::notified_lines(&told, &settings.style));
    }
    if !config.notifications.enable {
        out.say("note: notifications.enable is false, so nobody is told of real backups");
    }
    let all = told.iter().all(|one| one.ok);
    Ok(if all { exit::DONE } else { exit::FAILED })
}

/// The channels that are configured, though they may be switched off.
fn all_channels(config: &Config) -> Vec<schema::plan::Channel> {
    let mut wanted = config.notifications.clone();
    wanted.enable = true;
    wanted.channels()
}
