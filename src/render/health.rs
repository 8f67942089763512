//! What a health check came to, as people read it.
//!
//! Owns the wording of its figures. It must not judge: verdict and findings are given.

use schema::{
    Finding,
    config::DestinationName,
    health::{Health, HealthVerdict, Space, TrendBasis, VerifiedShare},
};

use super::{
    amount, messages,
    page::{Page, unbroken},
    several::alike,
};
use crate::style::Style;

/// Columns of the labels, as in a status.
const LABEL: usize = 14;

/// The verdict first, then what was measured, then what was found; of several destinations for each. `base` is
/// the name of `local` or `cloud` where one of them is used.
pub(crate) fn health_page(
    health: &Health,
    base: Option<&DestinationName>,
    style: &Style,
) -> String {
    let base = base.filter(|_| !health.destinations.is_empty());
    let mut page = Page::default();
    let word = match health.verdict {
        HealthVerdict::Ok => style.green(style.bold("ok:")),
        HealthVerdict::Warning => style.yellow(style.bold("warning:")),
        HealthVerdict::Error => style.red(style.bold("error:")),
    };
    page.line(0, &format!("{word} {}", summary(health, base)));
    page.blank();
    if let Some(name) = base {
        let name = style.bold(format!("{name}:"));
        page.line(0, &format!("{name} {}", planner::health::summary(health)));
    }
    let of_all = findings_of_all(health, base);
    if base.is_some() || health.destinations.is_empty() {
        add_measured(&mut page, health, &of_all, style);
    }
    for (name, other) in &health.destinations {
        page.blank();
        let name = style.bold(format!("{name}:"));
        page.line(0, &format!("{name} {}", planner::health::summary(other)));
        add_measured(&mut page, other, &of_all, style);
    }
    if !of_all.is_empty() {
        page.blank();
        page.line(0, &style.bold("all of them"));
        for told in &of_all {
            page.raw(&messages::finding_lines(told, style));
        }
    }
    format!("{}\n", page.into_string().trim_end())
}

/// What was found of each of several destinations alike.
fn findings_of_all(health: &Health, base: Option<&DestinationName>) -> Vec<Finding> {
    let own = base.map(|_| health).into_iter();
    let each = own.chain(health.destinations.values());
    let found: Vec<&[Finding]> = each.map(|one| one.findings.as_slice()).collect();
    alike(&found)
}

/// How many errors and warnings there are, for all destinations together, and of which they are.
fn summary(health: &Health, base: Option<&DestinationName>) -> String {
    let mut all = health.clone();
    let others = health.destinations.values();
    for found in others.flat_map(|other| &other.findings) {
        if !all.findings.contains(found) {
            all.findings.push(found.clone());
        }
    }
    let each = base.map(|name| (name, health)).into_iter();
    let each = each.chain(&health.destinations);
    let unwell =
        each.filter(|(_, one)| planner::health::verdict(&one.findings) != HealthVerdict::Ok);
    let names: Vec<&str> = unwell.map(|(name, _)| name.as_str()).collect();
    let summary = planner::health::summary(&all);
    match names.is_empty() {
        true => summary,
        false => format!("{summary} ({})", names.join(", ")),
    }
}

/// What was measured and found of one destination.
fn add_measured(page: &mut Page, health: &Health, of_all: &[Finding], style: &Style) {
    let mut fact = |name: &str, text: &str| page.entry(0, &style.dim(name), LABEL, text);
    if let Some(good) = &health.last_good {
        let errors = if good.complete { "" } else { ", with errors" };
        let age = amount::age(health.checked_at - good.started_at);
        fact("Last good", &format!("{}, {age}{errors}", good.id));
    }
    if let Some(space) = &health.space {
        fact("Room", &describe_room(space));
    }
    if let Some(share) = &health.verified {
        fact("Read", &describe_share(share, health));
    }
    if let Some(cloud) = &health.cloud {
        let copied = match cloud.copied_at {
            Some(at) => format!("copied {}", amount::age(health.checked_at - at)),
            None => "never copied".to_owned(),
        };
        let reach = match cloud.unreachable {
            Some(_) => ", cannot be reached now",
            None => ", can be reached",
        };
        fact("Cloud", &format!("{copied}{reach}"));
    }
    page.blank();
    for told in health.findings.iter().filter(|one| !of_all.contains(one)) {
        page.raw(&messages::finding_lines(told, style));
    }
}

fn describe_room(space: &Space) -> String {
    let free = format!(
        "{} free of {}",
        unbroken(&amount::bytes(space.free_bytes)),
        unbroken(&amount::bytes(space.total_bytes))
    );
    let Some(trend) = &space.trend else {
        return format!("{free}; too little is known to foretell more");
    };
    let a_day = unbroken(&amount::bytes(trend.used_bytes_a_day.unsigned_abs()));
    let since = trend.since.format("%Y-%m-%d");
    let basis = match trend.basis {
        TrendBasis::FreeSpace { runs } => format!("what {runs} runs found since {since}"),
        TrendBasis::Snapshots { snapshots } => {
            format!("what {snapshots} snapshots stored since {since}")
        }
    };
    if trend.used_bytes_a_day <= 0 {
        return format!("{free}, and not getting less (by {basis})");
    }
    let left = match trend.days_left {
        Some(days) => format!("enough for {}", amount::plural(days, "day", "days")),
        None if trend.oldest_make_room => "and the oldest snapshots make room".to_owned(),
        None => "enough for years".to_owned(),
    };
    format!("{free}, {a_day} less a day, {left} (by {basis})")
}

fn describe_share(share: &VerifiedShare, health: &Health) -> String {
    let files = match health.space.is_none() && health.cloud.is_some() {
        true => amount::plural(share.files_read, "content", "contents"),
        false => amount::plural(share.files_read, "file", "files"),
    };
    let what = format!(
        "part {}/{}: {files}, {}",
        share.part,
        share.of,
        unbroken(&amount::bytes(share.bytes_read))
    );
    if share.parts_read < share.of {
        return format!("{what}; {} of {} parts so far", share.parts_read, share.of);
    }
    let age = amount::age(health.checked_at - share.oldest_at);
    format!("{what}; the part read longest ago: {age}")
}
