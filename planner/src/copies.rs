//! How many copies a configuration makes of what, and what they lack of the 3-2-1 rule.
//!
//! Judged by the configuration alone: a destination that is away today is a copy all the same, and
//! `status` says how old each is.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset};
use schema::{
    Config,
    amount::{self, plural},
    config::{AbsolutePath, DestinationKind, DestinationName, Expire, Policy, SyncMode},
    output::copies::{CheckedCopy, Copies},
};

use crate::check::inside;

/// What is wanted with the original.
const COPIES: u64 = 3;

/// What a destination is told to back up.
struct Selection {
    sources: Vec<AbsolutePath>,
    excludes: Vec<String>,
}

impl Selection {
    /// Whether all that the other selects is in it.
    fn holds(&self, other: &Self) -> bool {
        let covers = |path: &AbsolutePath| {
            let mut own = self.sources.iter();
            own.any(|own| inside(path.as_str(), own.as_str()))
        };
        let excludes = |pattern: &String| other.excludes.contains(pattern);
        other.sources.iter().all(covers) && self.excludes.iter().all(excludes)
    }
}

/// The copies of each list of sources that something is configured to back up: that of `local` first. Where
/// nothing is, of `local.sources`.
#[must_use]
pub fn count_copies(config: &Config) -> Vec<Copies> {
    let names = config.names();
    let names: Vec<_> = names
        .into_iter()
        .filter(|name| keeps_what_it_got(config, name))
        .map(|name| (selection(config, &name), name))
        .collect();
    let mut jobs: Vec<&Selection> = Vec::new();
    for (one, _) in &names {
        let is_known = |known: &&Selection| known.holds(one) && one.holds(known);
        if !jobs.iter().any(is_known) {
            jobs.push(one);
        }
    }
    let of_local = selection(config, &DestinationName::new(DestinationName::LOCAL));
    if jobs.is_empty() {
        jobs.push(&of_local);
    }
    let copies = |job: &Selection| {
        let holding = names.iter().filter(|(one, _)| one.holds(job));
        let destinations: Vec<DestinationName> = holding.map(|(_, name)| name.clone()).collect();
        let which = |test: fn(&Config, &DestinationName) -> bool| {
            let all = destinations.iter().filter(|name| test(config, name));
            all.cloned().collect::<Vec<_>>()
        };
        Copies {
            sources: job.sources.clone(),
            count: destinations.len() as u64 + 1,
            media: if which(is_remote).is_empty() { 1 } else { 2 },
            off_site: which(is_off_site),
            undeletable: which(is_undeletable),
            destinations,
            checked: BTreeMap::new(),
        }
    };
    jobs.into_iter().map(copies).collect()
}

/// Something that the copies lack of what is demanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// What is lacking, after the word of the policy.
    pub problem: String,
    /// What ends it.
    pub hint: String,
}

/// What the copies of a configuration lack of its policy.
#[must_use]
pub fn find_gaps(config: &Config) -> Vec<Gap> {
    if config.policy.is_none() {
        return Vec::new();
    }
    let jobs = count_copies(config);
    let several = jobs.len() > 1;
    let mut gaps: Vec<Gap> = jobs
        .iter()
        .flat_map(|copies| gaps_of(config, copies, several))
        .collect();
    if config.policy == Policy::ThreeTwoOneOneZero {
        gaps.extend(unread(config));
    }
    gaps
}

fn gaps_of(config: &Config, copies: &Copies, several: bool) -> Vec<Gap> {
    let add_remote = "add a remote: destinations.<name> = { type = \"remote\", remote = \"…\" }";
    let first = copies.destinations.first();
    let of = match first.filter(|_| several) {
        Some(name) => format!(" of what `{name}` backs up"),
        None => String::new(),
    };
    let mut gaps = Vec::new();
    let mut add = |problem: String, hint: String| gaps.push(Gap { problem, hint });
    if copies.count < COPIES {
        let count = plural(copies.count, "copy", "copies");
        add(
            format!("{count}{of} with the original, and {COPIES} are demanded"),
            match copies.media {
                1 => add_remote.to_owned(),
                _ => "add a disk: destinations.<name> = { type = \"disk\", mountPoint = \"…\" }"
                    .to_owned(),
            },
        );
    }
    if copies.media < 2 {
        add(
            format!("all copies{of} are on disks, and two kinds of medium are demanded"),
            add_remote.to_owned(),
        );
    }
    if copies.off_site.is_empty() {
        let mut disks = copies.destinations.iter();
        let disk = disks.find(|name| config.destinations.contains_key(name));
        let or = disk.map(|name| {
            format!(", or set destinations.{name}.offSite to true if it is kept elsewhere")
        });
        add(
            format!("no copy{of} is off site"),
            format!("{add_remote}{}", or.unwrap_or_default()),
        );
    }
    if config.policy == Policy::ThreeTwoOneOneZero && copies.undeletable.is_empty() {
        let mut named = copies.destinations.iter();
        let remote = named.find(|name| {
            let one = config.destinations.get(name);
            one.is_some_and(|one| one.kind == DestinationKind::Remote)
        });
        let name = remote.map_or("<name>", |name| name.as_str());
        add(
            format!("this machine can delete every copy{of}"),
            format!(
                "give a remote a key that may not delete, and set destinations.{name}.expire to \"never\""
            ),
        );
    }
    gaps
}

/// That copies are never read back.
fn unread(config: &Config) -> Vec<Gap> {
    let monitoring = &config.monitoring;
    let mut gaps = Vec::new();
    if !monitoring.enable || monitoring.verify_subset.is_none() {
        gaps.push(Gap {
            problem: "nothing reads the copies back".to_owned(),
            hint: "set monitoring.enable to true and monitoring.verifySubset to a share such as \"1/30\""
                .to_owned(),
        });
    }
    if !monitoring.drill.enable {
        gaps.push(Gap {
            problem: "no trial restore is made".to_owned(),
            hint: "set monitoring.drill.enable to true".to_owned(),
        });
    }
    gaps
}

/// The copies in one line.
#[must_use]
pub fn describe_copies(copies: &Copies) -> String {
    let media = match copies.media {
        1 => "one kind of medium".to_owned(),
        count => format!("{count} kinds of medium"),
    };
    let off_site = match copies.off_site.as_slice() {
        [] => "none off site".to_owned(),
        names => format!("{} off site ({})", names.len(), list(names)),
    };
    let undeletable = match copies.undeletable.as_slice() {
        [] => "none that this machine cannot delete".to_owned(),
        names => format!(
            "{} that this machine cannot delete ({})",
            names.len(),
            list(names)
        ),
    };
    format!(
        "{} with the original, on {media}, {off_site}, {undeletable}",
        plural(copies.count, "copy", "copies")
    )
}

/// The copies with when each was last read back, by what is known of each destination.
#[must_use]
pub fn with_checks(
    all: Vec<Copies>,
    known: &BTreeMap<DestinationName, CheckedCopy>,
) -> Vec<Copies> {
    let of = |copies: Copies| {
        let names = copies.destinations.iter();
        let checked = names.filter_map(|name| Some((name.clone(), *known.get(name)?)));
        Copies {
            checked: checked.collect(),
            ..copies
        }
    };
    all.into_iter().map(of).collect()
}

/// When the copies were last read back, in one line; none where nobody asked that.
fn describe_checks(copies: &Copies, now: DateTime<FixedOffset>) -> Option<String> {
    let names = copies.destinations.iter();
    let known: Vec<_> = names
        .filter_map(|name| Some((name, copies.checked.get(name)?)))
        .collect();
    let each = |when: fn(&CheckedCopy) -> Option<DateTime<FixedOffset>>| {
        let each = known.iter().map(|(name, one)| match when(one) {
            Some(at) => format!("{name} {}", amount::age(now - at)),
            None => format!("{name} never"),
        });
        each.collect::<Vec<_>>().join(", ")
    };
    let drilled = match known.iter().any(|(_, one)| one.drilled_at.is_some()) {
        true => each(|one| one.drilled_at),
        false => "never".to_owned(),
    };
    (!known.is_empty()).then(|| {
        let verified = each(|one| one.verified_at);
        format!("verified: {verified}; trial restore: {drilled}")
    })
}

/// A line for each list of sources, with which that is where there are several, and one that says when its
/// copies were last read back, where that is known.
#[must_use]
pub fn copies_lines(all: &[Copies], now: DateTime<FixedOffset>) -> Vec<String> {
    let lines = |copies: &Copies| [Some(line_of(copies, all)), describe_checks(copies, now)];
    all.iter().flat_map(lines).flatten().collect()
}

fn line_of(copies: &Copies, all: &[Copies]) -> String {
    let described = describe_copies(copies);
    match copies.sources.first().filter(|_| all.len() > 1) {
        Some(first) if copies.sources.len() > 1 => {
            format!("{first} and {} more: {described}", copies.sources.len() - 1)
        }
        Some(first) => format!("{first}: {described}"),
        None => described,
    }
}

fn list(names: &[DestinationName]) -> String {
    let names: Vec<&str> = names.iter().map(DestinationName::as_str).collect();
    names.join(", ")
}

fn selection(config: &Config, name: &DestinationName) -> Selection {
    let view = config.view(name).unwrap_or_else(|| config.base());
    Selection {
        sources: view.local.sources,
        excludes: view.local.exclude_patterns,
    }
}

/// `move` gives back the space of what is local, so that it is no copy of its own.
fn keeps_what_it_got(config: &Config, name: &DestinationName) -> bool {
    let moved = config.cloud.enable && config.cloud.sync_mode == SyncMode::Move;
    name.as_str() != DestinationName::LOCAL || !moved
}

fn is_remote(config: &Config, name: &DestinationName) -> bool {
    match config.destinations.get(name) {
        Some(one) => one.kind == DestinationKind::Remote,
        None => name.as_str() == DestinationName::CLOUD,
    }
}

fn is_off_site(config: &Config, name: &DestinationName) -> bool {
    let said = config.destinations.get(name).and_then(|one| one.off_site);
    said.unwrap_or_else(|| is_remote(config, name))
}

fn is_undeletable(config: &Config, name: &DestinationName) -> bool {
    let one = config.destinations.get(name);
    one.is_some_and(|one| one.kind == DestinationKind::Remote && one.expire == Expire::Never)
}

#[cfg(test)]
mod tests;
