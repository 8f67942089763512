//! Rules about what is backed up and where to: `local.sources` against each other and against
//! `local.mountPoint`.
//!
//! Compares paths as they are written; links and mounts are looked at when a plan is made.

use std::collections::HashMap;

use schema::Config;
use schema::config::AbsolutePath;

use super::rules::Finding;

/// The same source twice.
pub(super) fn duplicate(config: &Config) -> Vec<Finding> {
    let sources = &config.local.sources;
    let first = first_of_each(sources);
    let mut found = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let first = first.get(source.as_str()).copied().unwrap_or(index);
        if first != index {
            found.push(
                Finding::new(
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

/// A source that another one contains.
pub(super) fn nested(config: &Config) -> Vec<Finding> {
    let sources = &config.local.sources;
    let first = first_of_each(sources);
    let mut found = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let outer = folders_above(source.as_str())
            .find_map(|folder| Some((folder, first.get(folder).copied()?)));
        if let Some((folder, outer)) = outer {
            found.push(
                Finding::new(
                    format!("local.sources[{index}]"),
                    format!("inside `local.sources[{outer}]`, which is \"{folder}\""),
                )
                .expected("sources that do not contain each other")
                .hint(
                    "remove it; if it is a mount point of its own, also set `local.oneFileSystem` \
                     to false",
                ),
            );
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

/// A source that contains the destination or lies in it.
pub(super) fn destination(config: &Config) -> Vec<Finding> {
    let local = &config.local;
    let mount_point = local.mount_point.as_str();
    let mut found = Vec::new();
    for (index, source) in local.sources.iter().enumerate().filter(|_| local.enable) {
        let problem = match (
            inside(mount_point, source.as_str()),
            inside(source.as_str(), mount_point),
        ) {
            (true, true) => "is the destination, `local.mountPoint`",
            (true, false) => "contains the destination, `local.mountPoint`",
            (false, true) => "inside the destination, `local.mountPoint`",
            (false, false) => continue,
        };
        found.push(
            Finding::new(
                format!("local.sources[{index}]"),
                format!("{problem} (\"{mount_point}\")"),
            )
            .expected("a source outside of the destination, and not around it")
            .hint("name the folders beside `local.mountPoint` one by one, or change it")
            .with(&["local.enable", "local.mountPoint"]),
        );
    }
    found
}

/// Whether a path is the folder or lies in it, as they are written.
fn inside(path: &str, folder: &str) -> bool {
    folder == "/"
        || path
            .strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
