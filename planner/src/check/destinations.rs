//! Rules about destinations by their names, and about several of them: the same place twice, one inside
//! another, a source that is one.
//!
//! What is true of each by itself are the rules about `local` and `cloud`, on its view. Compares paths as
//! they are written; whether two are one disk is asked when a plan is made.

use std::collections::HashMap;

use schema::{
    Config,
    config::{
        AbsolutePath, Destination, DestinationKind, DestinationName, Expire, Layout, Provider,
    },
};

use super::{
    finding::{RuleFinding, finding_if},
    sources::inside,
};

/// What units, logs and journals beside those of destinations are called.
const RESERVED: [&str; 6] = ["health-check", "drill", "view", "retry", "part", "main"];

/// One that is used, with the key of its place.
struct Placed<T> {
    name: DestinationName,
    key: String,
    place: T,
}

/// A name that something else has.
pub(super) fn reserved(config: &Config) -> Vec<RuleFinding> {
    let names = config.destinations.keys();
    names
        .filter_map(|name| {
            let (problem, hint) = if name.is_predefined() {
                (
                    "a name that has a section of its own",
                    format!("set `{name}.*` instead, or take another name"),
                )
            } else if RESERVED.contains(&name.as_str()) {
                (
                    "a name that a unit of this program has",
                    "take another name".to_owned(),
                )
            } else {
                return None;
            };
            let path = format!("destinations.{name}");
            Some(RuleFinding::new(path, problem).hint(hint))
        })
        .collect()
}

/// One without a place.
pub(super) fn place(config: &Config) -> Vec<RuleFinding> {
    used(config)
        .filter_map(|(name, one)| {
            let (key, expected, example) = match one.kind {
                DestinationKind::Disk => (
                    "mountPoint",
                    "the folder where the drive is mounted",
                    format!("set it to a path such as \"/mnt/{name}\""),
                ),
                DestinationKind::Remote => (
                    "remote",
                    "an rclone remote, \"name:\" or \"name:path\"",
                    "set it to one of those that `rclone listremotes` prints".to_owned(),
                ),
            };
            let missing = match one.kind {
                DestinationKind::Disk => one.mount_point.is_none(),
                DestinationKind::Remote => one.remote.is_none(),
            };
            let finding = RuleFinding::new(format!("destinations.{name}.{key}"), "not set")
                .expected(expected)
                .hint(format!(
                    "{example}, or set `destinations.{name}.enable` to false"
                ))
                .with(&[&format!("destinations.{name}.enable")]);
            missing.then_some(finding)
        })
        .collect()
}

/// Two disks in one folder, or one within the snapshots of another.
pub(super) fn same_folder(config: &Config) -> Vec<RuleFinding> {
    let disks = disks(config);
    let mut found = Vec::new();
    for (index, disk) in disks.iter().enumerate() {
        let before = disks.iter().take(index);
        let clash = before.clone().find_map(|other| {
            let (one, two) = (disk.place.as_str(), other.place.as_str());
            let problem = if one == two {
                "the same folder as"
            } else if host_folder(config, two).is_some_and(|host| inside(one, &host)) {
                "inside the host's folder of"
            } else if host_folder(config, one).is_some_and(|host| inside(two, &host)) {
                "its host's folder contains"
            } else {
                return None;
            };
            Some((problem, other))
        });
        let Some((problem, other)) = clash else {
            continue;
        };
        found.push(
            RuleFinding::new(
                disk.key.clone(),
                format!("{problem} `{}` (\"{}\")", other.key, other.place),
            )
            .expected("a folder of its own for each destination")
            .hint(format!(
                "change one of the two; what differs in retention alone is one destination, `{}`, with larger \
                 keep numbers",
                other.name
            ))
            .with(&[&other.key]),
        );
    }
    found
}

/// Two disks that are to be one file system.
pub(super) fn same_file_system(config: &Config) -> Vec<RuleFinding> {
    let local = config.local.file_system_uuid.as_deref();
    let local = local.filter(|_| config.local.enable);
    let mut seen: HashMap<String, String> = HashMap::new();
    if let Some(uuid) = local {
        seen.insert(uuid.to_lowercase(), "local.fileSystemUUID".to_owned());
    }
    let mut found = Vec::new();
    for (name, one) in used(config).filter(|(_, one)| one.kind == DestinationKind::Disk) {
        let key = format!("destinations.{name}.fileSystemUUID");
        let Some(uuid) = one.file_system_uuid.as_deref() else {
            continue;
        };
        match seen.get(&uuid.to_lowercase()) {
            Some(other) => found.push(
                RuleFinding::new(key, format!("the same as `{other}`"))
                    .expected("a file system of its own for each destination")
                    .hint("two copies on one disk are lost with it: name another disk")
                    .with(&[other]),
            ),
            None => {
                seen.insert(uuid.to_lowercase(), key);
            }
        }
    }
    found
}

/// Two remotes in one folder, or one within the host's folder of another.
pub(super) fn same_remote(config: &Config) -> Vec<RuleFinding> {
    let remotes = remotes_of(config);
    let host = |folder: &str| Some(format!("{folder}/{}", config.hostname.as_deref()?));
    let mut found = Vec::new();
    for (index, remote) in remotes.iter().enumerate() {
        let clash = remotes.iter().take(index).find_map(|other| {
            let (one, two) = (remote.place.as_str(), other.place.as_str());
            let below = |inner: &str, outer: &str| {
                host(outer).is_some_and(|host| {
                    let rest = inner.strip_prefix(&*host);
                    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                })
            };
            let problem = if one == two {
                "the same folder as that of"
            } else if below(one, two) {
                "inside the host's folder of"
            } else if below(two, one) {
                "its host's folder contains that of"
            } else {
                return None;
            };
            Some((problem, other))
        });
        let Some((problem, other)) = clash else {
            continue;
        };
        let section = |key: &str| key.trim_end_matches(".remote").to_owned();
        let (own, others) = (section(&remote.key), section(&other.key));
        found.push(
            RuleFinding::new(
                format!("{own}.remotePath"),
                format!("{problem} `{others}.remotePath` (\"{}\")", other.place),
            )
            .expected("a folder of its own for each remote")
            .hint(format!("change `{own}.remotePath` or `{own}.remote`"))
            .with(&[
                &remote.key,
                &other.key,
                &format!("{others}.remotePath"),
                "hostname",
            ]),
        );
    }
    found
}

/// Sources of one destination that are another, or lie in its snapshots. What is in its own drive is
/// [`super::sources::destination`]'s to say.
pub(super) fn source(config: &Config) -> Vec<RuleFinding> {
    let disks = disks(config);
    let mut lists: Vec<(Option<&DestinationName>, String, &[AbsolutePath])> = Vec::new();
    let common = used(config).any(|(_, one)| one.sources.is_none());
    if config.local.enable || config.cloud.enable || common {
        lists.push((None, "local.sources".to_owned(), &config.local.sources));
    }
    for (name, one) in used(config) {
        if let Some(own) = &one.sources {
            lists.push((Some(name), format!("destinations.{name}.sources"), own));
        }
    }
    let mut found = Vec::new();
    for (of, key, sources) in lists {
        for disk in &disks {
            let own = match of {
                Some(of) => *of == disk.name,
                None => {
                    let destination = config.destinations.get(&disk.name);
                    destination.is_none_or(|one| one.sources.is_none())
                }
            };
            if own {
                continue;
            }
            let host = host_folder(config, disk.place.as_str());
            for (index, source) in sources.iter().enumerate() {
                let problem = if *source == disk.place {
                    "is a destination"
                } else if (host.as_ref()).is_some_and(|host| inside(source.as_str(), host)) {
                    "inside the host's folder of a destination"
                } else {
                    continue;
                };
                found.push(
                    RuleFinding::new(
                        format!("{key}[{index}]"),
                        format!("{problem}, `{}` (\"{}\")", disk.key, disk.place),
                    )
                    .expected("a source outside of the snapshots of every destination")
                    .hint(format!("remove it, or change `{}`", disk.key))
                    .with(&[&disk.key, "hostname"]),
                );
            }
        }
    }
    found
}

/// Mirrors whose key may not delete: what is replaced there is moved to the history, from where it was.
pub(super) fn mirrors_that_keep(config: &Config) -> Vec<RuleFinding> {
    mirrors(used(config))
        .filter(|(_, one)| one.expire == Expire::Never)
        .map(|(name, _)| {
            let layout = format!("destinations.{name}.layout");
            RuleFinding::new(
                format!("destinations.{name}.expire"),
                "a mirror moves what it replaces, which a key that may not delete cannot",
            )
            .expected("\"here\" for a mirror")
            .hint(format!(
                "remove `destinations.{name}.expire`, or set `{layout}` to \"history\""
            ))
            .with(&[&layout])
        })
        .collect()
}

/// Keep numbers of a remote that has no snapshots to keep.
pub(super) fn mirror_keeps(config: &Config) -> Vec<RuleFinding> {
    mirrors(config.destinations.iter())
        .flat_map(|(name, one)| {
            let default = schema::config::Local::default();
            let changed = one.keep_last != default.keep_last
                || one.keep_hourly != default.keep_hourly
                || one.keep_daily != default.keep_daily
                || one.keep_weekly != default.keep_weekly
                || one.keep_monthly != default.keep_monthly
                || one.keep_yearly != default.keep_yearly;
            finding_if(changed, || {
                RuleFinding::new(
                    format!("destinations.{name}.layout"),
                    "\"mirror\" keeps no snapshots, so that keep numbers are without effect",
                )
                .hint(format!(
                    "set `destinations.{name}.layout` to \"history\", or `destinations.{name}.keepHistoryDays`"
                ))
            })
        })
        .collect()
}

/// The mirrors among destinations by their names.
fn mirrors<'a>(
    all: impl Iterator<Item = (&'a DestinationName, &'a Destination)>,
) -> impl Iterator<Item = (&'a DestinationName, &'a Destination)> {
    all.filter(|(_, one)| one.kind == DestinationKind::Remote && one.layout == Layout::Mirror)
}

/// Destinations by their names that are used, as they stand.
fn used(config: &Config) -> impl Iterator<Item = (&DestinationName, &Destination)> {
    config.destinations.iter().filter(|(_, one)| one.enable)
}

/// The mount points in use.
fn disks(config: &Config) -> Vec<Placed<AbsolutePath>> {
    let local = config.local.enable.then(|| Placed {
        name: DestinationName::new(DestinationName::LOCAL),
        key: "local.mountPoint".to_owned(),
        place: config.local.mount_point.clone(),
    });
    let named = used(config).filter(|(_, one)| one.kind == DestinationKind::Disk);
    let named = named.filter_map(|(name, one)| {
        Some(Placed {
            name: name.clone(),
            key: format!("destinations.{name}.mountPoint"),
            place: one.mount_point.clone()?,
        })
    });
    local.into_iter().chain(named).collect()
}

/// The folders on remotes in use, each in one spelling.
fn remotes_of(config: &Config) -> Vec<Placed<String>> {
    let cloud = &config.cloud;
    let remote = match cloud.provider {
        Provider::ProtonDrive => Some("proton:"),
        Provider::Custom => cloud.remote.as_deref(),
    };
    let predefined = remote.filter(|_| cloud.enable).map(|remote| Placed {
        name: DestinationName::new(DestinationName::CLOUD),
        key: "cloud.remote".to_owned(),
        place: one_spelling(remote, &cloud.remote_path),
    });
    let named = used(config).filter(|(_, one)| one.kind == DestinationKind::Remote);
    let named = named.filter_map(|(name, one)| {
        Some(Placed {
            name: name.clone(),
            key: format!("destinations.{name}.remote"),
            place: one_spelling(one.remote.as_deref()?, &one.remote_path),
        })
    });
    predefined.into_iter().chain(named).collect()
}

fn one_spelling(remote: &str, path: &str) -> String {
    let (name, start) = remote.split_once(':').unwrap_or((remote, ""));
    let parts = start.split('/').chain(path.split('/'));
    let parts: Vec<&str> = parts
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    format!("{name}:{}", parts.join("/"))
}

/// The host's folder below a mount point, where the host's name is given.
fn host_folder(config: &Config, mount_point: &str) -> Option<String> {
    let host = config.hostname.as_deref()?;
    Some(format!("{}/{host}", mount_point.trim_end_matches('/')))
}
