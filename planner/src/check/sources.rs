//! Rules about what is backed up and where to: `local.sources` against each other and against
//! `local.mountPoint`.
//!
//! Compares paths as they are written; links and mounts are looked at when a plan is made, and by
//! whoever checks a file on the machine that it is for.

use std::collections::{HashMap, HashSet};

use schema::config::AbsolutePath;
use schema::{Config, path::rest_below};

use super::{fault::Fault, finding::RuleFinding};

/// The same source twice.
pub(super) fn duplicate(config: &Config) -> Vec<RuleFinding> {
    let sources = &config.local.sources;
    let first = first_of_each(sources);
    let mut found = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let first = first.get(source.as_str()).copied().unwrap_or(index);
        if first != index {
            found.push(
                RuleFinding::new(
                    format!("local.sources[{index}]"),
                    format!("the same as `local.sources[{first}]`"),
                )
                .expected("each source once")
                .hint("remove one of the two"),
            );
        }
    }
    found
}

/// Sources that others contain and that `same` says are on the same file system as these, so that
/// they are stored already. Who only reads the file cannot tell: mounts say it.
pub fn nested(config: &Config, same: &dyn Fn(&AbsolutePath, &AbsolutePath) -> bool) -> Vec<Fault> {
    let mut found = nested_in("local.sources", &config.local.sources, same);
    for (name, one) in &config.destinations {
        if let Some(own) = one.sources.as_ref().filter(|_| one.enable) {
            found.extend(nested_in(
                &format!("destinations.{name}.sources"),
                own,
                same,
            ));
        }
    }
    found
}

/// Those of one list.
fn nested_in(
    key: &str,
    sources: &[AbsolutePath],
    same: &dyn Fn(&AbsolutePath, &AbsolutePath) -> bool,
) -> Vec<Fault> {
    let first = first_of_each(sources);
    let mut found = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let outer = folders_above(source.as_str())
            .find_map(|folder| first.get(folder).copied())
            .filter(|outer| same(source, &sources[*outer]));
        if let Some(outer) = outer {
            let fault = Fault::new(
                format!("{key}[{index}]"),
                format!(
                    "inside `{key}[{outer}]`, which is \"{}\", and on the same file system",
                    sources[outer]
                ),
            )
            .expected("sources on the same file system that do not contain each other")
            .hint("remove it: it is stored with the other one".to_owned());
            found.push(Fault {
                found: Some(format!("\"{source}\"")),
                ..fault
            });
        }
    }
    found
}

/// Where each source stands first; a list as long as the file allows is looked at only once.
fn first_of_each(sources: &[AbsolutePath]) -> HashMap<&str, usize> {
    let mut first = HashMap::new();
    for (index, source) in sources.iter().enumerate() {
        first.entry(source.as_str()).or_insert(index);
    }
    first
}

/// The folders that contain a path, the nearest first.
fn folders_above(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.rmatch_indices('/').map(|(end, _)| end.max(1));
    ends.filter_map(|end| path.get(..end))
        .filter(move |folder| *folder != path)
}

/// A source that is the destination or lies in it. One that contains it is backed up without it.
pub(super) fn destination(config: &Config) -> Vec<RuleFinding> {
    let local = &config.local;
    let mount_point = local.mount_point.as_str();
    let mut found = Vec::new();
    for (index, source) in local.sources.iter().enumerate().filter(|_| local.enable) {
        let problem = match (
            inside(mount_point, source.as_str()),
            inside(source.as_str(), mount_point),
        ) {
            (true, true) => "is the destination, `local.mountPoint`",
            (false, true) => "inside the destination, `local.mountPoint`",
            (_, false) => continue,
        };
        found.push(
            RuleFinding::new(
                format!("local.sources[{index}]"),
                format!("{problem} (\"{mount_point}\")"),
            )
            .expected("a source outside of the destination")
            .hint("remove it, or change `local.mountPoint`")
            .with(&["local.enable", "local.mountPoint"]),
        );
    }
    found
}

/// What need not be there and is no source.
pub(super) fn optional(config: &Config) -> Vec<RuleFinding> {
    let local = &config.local;
    let sources: HashSet<&AbsolutePath> = local.sources.iter().collect();
    let optional = local.optional_sources.iter().enumerate();
    let unknown = optional.filter(|(_, path)| !sources.contains(path));
    let finding = |(index, _)| {
        RuleFinding::new(
            format!("local.optionalSources[{index}]"),
            "not one of `local.sources`",
        )
        .expected("a path that `local.sources` has as well")
        .hint("add it to `local.sources`, or remove it here")
        .with(&["local.sources"])
    };
    unknown.map(finding).collect()
}

/// Whether a path is the folder or lies in it, as they are written.
pub(crate) fn inside(path: &str, folder: &str) -> bool {
    rest_below(path.as_bytes(), folder.as_bytes()).is_some()
}
