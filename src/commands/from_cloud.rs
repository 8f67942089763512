//! `restore --from cloud` and `verify --cloud`: what works on the remote, without any destination.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use anyhow::Result;
use chrono::{DateTime, Datelike as _, FixedOffset, Local, NaiveDate};
use executor::{
    Error,
    clock::Clock,
    cloud::{
        fetch::{self, Wanted},
        memory::Desk,
        rclone::{self, Rclone},
        verify::{self, Look, Share},
    },
    event::Context,
    remove::remove_tree,
    state_dir::StateDir,
    sys::{Dir, resolve::resolve},
};
use planner::naming::{self, Candidate};
use schema::{
    Config, SnapshotId, StoredPathBuf, config::AbsolutePath, output::cloud::CloudSnapshotList,
};

use crate::{
    cli::Verify,
    commands::plan::bar,
    exit,
    out::Out,
    render::amount,
    settings::Settings,
    snapshots,
    take::{self, host_folder},
};

/// What a restore asks for.
pub(crate) struct Asked<'a> {
    /// The snapshot's name, as it is named on a disk.
    pub(crate) snapshot: &'a str,
    /// Instead of it, the newest one that was started at this time or before.
    pub(crate) as_of: Option<DateTime<FixedOffset>>,
    /// Paths as they were on the machine, or patterns.
    pub(crate) paths: &'a [PathBuf],
    /// Where downloads are kept meanwhile.
    pub(crate) staging: Option<&'a Path>,
}

/// Brings what is asked for from the remote, and gives a configuration whose destination holds it,
/// with the snapshot that it is of.
pub(crate) fn bring(
    asked: &Asked<'_>,
    config: &Config,
    settings: &Settings,
    out: &Out,
) -> Result<(Config, SnapshotId)> {
    let host = host_folder(config);
    let remote = planner::cloud_remote(&config.cloud, &host);
    let place = staging(asked.staging, settings, &remote)?;
    let folder = open_or_new(&place)?;
    let paths: Vec<StoredPathBuf> = asked.paths.iter().map(|path| plain(path)).collect();
    let brought = with(config, settings, &remote, |rclone, desk| {
        // Damaged records are passed over for the newest only, whose name is nobody's choice.
        let newest = asked.as_of.is_none() && asked.snapshot.trim_end_matches('/') == "latest";
        let id = if newest {
            None
        } else {
            let there: Vec<SnapshotId> = fetch::uploaded(rclone, desk, &remote)?
                .into_keys()
                .collect();
            Some(chosen(asked, &there, &remote)?)
        };
        let wanted = Wanted {
            remote: &remote,
            host: &host,
            id,
            paths: &paths,
        };
        fetch::fetch(rclone, desk, (&folder, &place.to_string_lossy()), &wanted)
    })?;
    out.say(&format!(
        "{} of {} downloaded from {remote}",
        amount::plural(brought.files, "file", "files"),
        brought.id
    ));
    for damaged in &brought.damaged {
        out.say(&format!(
            "note: the record or the manifest of {damaged} at {remote} is damaged: {} is the newest \
             that can be restored",
            brought.id
        ));
    }
    let mount_point = place
        .to_str()
        .and_then(|text| text.parse::<AbsolutePath>().ok())
        .ok_or_else(|| Error::refused(format!("{} cannot be used", place.display())))?;
    let mut config = config.clone();
    config.hostname = Some(host);
    config.local.enable = true;
    config.local.mount_point = mount_point;
    config.local.require_mount = false;
    config.local.file_system_uuid = None;
    config.local.allow_full_copies = true;
    Ok((config, brought.id))
}

/// Which of the uploaded snapshots is meant.
fn chosen(asked: &Asked<'_>, there: &[SnapshotId], remote: &str) -> executor::Result<SnapshotId> {
    let refused = |message: String| {
        Error::refused(format!("{message} (at {remote})"))
            .hint("`backup restore --from cloud --list` shows what is on the remote")
    };
    let now = Local::now().fixed_offset();
    let candidates = candidates(there, now);
    if let Some(when) = asked.as_of {
        let before = candidates.iter().enumerate();
        return before
            .filter(|(_, one)| one.started_at.is_some_and(|at| at <= when.to_utc()))
            .max_by_key(|(_, one)| one.started_at)
            .map(|(at, _)| there[at])
            .ok_or_else(|| refused("there is no snapshot of that time or before".to_owned()));
    }
    let at = naming::named(asked.snapshot, &candidates, now.to_utc()).map_err(refused)?;
    Ok(there[at])
}

/// Uploaded snapshots as names are looked up among them. Only good ones are uploaded.
fn candidates(there: &[SnapshotId], now: DateTime<FixedOffset>) -> Vec<Candidate> {
    there
        .iter()
        .map(|id| Candidate {
            name: id.to_string(),
            tiers: Vec::new(),
            started_at: Some(snapshots::by_name(*id, *now.offset())),
            good: true,
        })
        .collect()
}

/// A refusal for a name that no snapshot here has and one in the cloud has, as far as that is
/// remembered.
pub(crate) fn elsewhere(
    name: &str,
    config: &Config,
    settings: &Settings,
    now: DateTime<FixedOffset>,
) -> Option<Error> {
    if !config.cloud.enable || name.starts_with("latest") {
        return None;
    }
    let there = take::remembered(settings, config)?.memory.uploaded;
    let at = naming::named(name, &candidates(&there, now), now.to_utc()).ok()?;
    let (id, remote) = (
        there[at],
        planner::cloud_remote(&config.cloud, &host_folder(config)),
    );
    Some(
        Error::refused(format!(
            "snapshot {id} is not on the disk; it is in the cloud, at {remote}"
        ))
        .hint(format!(
            "`backup restore --from cloud {id} PATH TARGET` brings it back"
        )),
    )
}

/// The part of a path before the first name that may be a pattern, without a leading slash.
fn plain(path: &Path) -> StoredPathBuf {
    let path = StoredPathBuf::of_typed(path.as_os_str().as_bytes());
    let may_be_pattern = |name: &[u8]| name.iter().any(|byte| b"*?[\\".contains(byte));
    StoredPathBuf::of_names(path.names().take_while(|name| !may_be_pattern(name)))
}

/// Throws the downloads of a restore away that ended well.
pub(crate) fn clear(config: &Config, settings: &Settings) -> Result<()> {
    let place = config.local.mount_point.as_path();
    let context = silent(settings);
    let Ok(found) = resolve(place) else {
        return Ok(());
    };
    Ok(remove_tree(
        &found.parent,
        &found.name,
        config.local.mount_point.as_str(),
        context,
    )?)
}

/// Shows the snapshots on the remote.
pub(crate) fn list(config: &Config, settings: &Settings, out: &Out) -> Result<u8> {
    let remote = planner::cloud_remote(&config.cloud, &host_folder(config));
    let shelves = with(config, settings, &remote, |rclone, desk| {
        fetch::uploaded(rclone, desk, &remote)
    })?;
    let ids: Vec<SnapshotId> = shelves.keys().rev().copied().collect();
    if settings.json {
        out.data_json(&CloudSnapshotList(ids));
    } else {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        out.data(&ids.join("\n"));
    }
    Ok(exit::DONE)
}

/// The share that is read on a day, of thirty: a run a day reads all within thirty days.
fn share_of(day: NaiveDate) -> Share {
    const OF: u32 = 30;
    let day = day.num_days_from_ce().unsigned_abs();
    Share::Part {
        part: day % OF + 1,
        of: OF,
    }
}

/// Compares the remote with its newest upload's manifest.
pub(crate) fn verify(arguments: &Verify, settings: &Settings, out: &Out) -> Result<u8> {
    let config = settings.config(out)?;
    let remote = planner::cloud_remote(&config.cloud, &host_folder(&config));
    let asked = match (arguments.quick, arguments.subset, arguments.full) {
        (true, _, _) => Some(Share::None),
        (_, Some((part, of)), _) => Some(Share::Part { part, of }),
        (_, _, true) => Some(Share::All),
        _ => None,
    };
    let look = Look {
        share: asked.unwrap_or_else(|| share_of(Local::now().date_naive())),
        hashes_first: asked.is_none(),
    };
    let place = staging(None, settings, &format!("verify {remote}"))?;
    let folder = open_or_new(&place)?;
    let found = with(&config, settings, &remote, |rclone, desk| {
        let into = (&folder, &*place.to_string_lossy());
        verify::verify(rclone, desk, into, &remote, look)
    })?;
    if settings.json {
        out.data_json(&found);
    } else {
        let mut text = format!(
            "{} at {remote}: {} ({}) compared by size",
            found.id,
            amount::plural(found.files, "file", "files"),
            amount::bytes(found.bytes),
        );
        if let Some(hash) = &found.hash {
            text.push_str(&format!(
                ", {} ({}) by {hash}",
                amount::count(found.hashed_files),
                amount::bytes(found.hashed_bytes)
            ));
        }
        text.push_str(&format!(
            ", {} ({}) downloaded and read",
            amount::count(found.read_files),
            amount::bytes(found.read_bytes)
        ));
        for damage in &found.damage {
            text.push_str(&format!("\n  {}: {}", damage.path, damage.message));
        }
        if found.damage_count > 0 {
            text.push_str(&format!(
                "\n{}\nhint: the next `backup apply` uploads them again, as far as they are still here",
                amount::plural(
                    found.damage_count,
                    "file is not whole",
                    "files are not whole"
                )
            ));
        }
        out.data(&text);
    }
    Ok(if found.damage_count > 0 {
        exit::INCOMPLETE
    } else {
        exit::DONE
    })
}

/// Works with rclone and the desk of a remote.
fn with<T>(
    config: &Config,
    settings: &Settings,
    remote: &str,
    work: impl FnOnce(&Rclone<'_>, &Desk) -> executor::Result<T>,
) -> Result<T> {
    const PROGRAM: &str = "rclone";
    fetch::check(config.cloud.config_file.as_ref())?;
    let state = StateDir::open_or_new(&settings.state_dir)?;
    let _lock = state.lock()?;
    let desk = Desk::open_or_new(&state, remote)?;
    let bar = bar(settings);
    let options = planner::cloud_options(&config.cloud);
    let rclone = Rclone {
        program: PROGRAM,
        options: &options,
        step: "cloud",
        until: None,
        stall: rclone::longest_stall(None),
        context: Context {
            observer: &bar,
            ..silent(settings)
        },
    };
    let result = work(&rclone, &desk);
    bar.clear();
    result.map_err(|error| {
        rclone::hinted(error, PROGRAM, config.cloud.config_file.as_ref(), remote).into()
    })
}

fn silent(settings: &Settings) -> Context<'_> {
    Context {
        clock: Clock::default(),
        threads: settings.threads,
        ..Context::silent(&settings.stop)
    }
}

/// The folder of the downloads: the same for the same remote, so that a restore that was
/// interrupted goes on.
fn staging(named: Option<&Path>, settings: &Settings, remote: &str) -> Result<PathBuf> {
    let name = format!("download-{}", schema::Digest::of(remote.as_bytes()).short());
    let place = match named {
        Some(folder) => folder.join(name),
        None => settings.state_dir.join(name),
    };
    Ok(std::path::absolute(place)?)
}

/// Opens a folder that is made for its owner alone where it is missing.
fn open_or_new(place: &Path) -> Result<Dir> {
    use std::os::unix::fs::DirBuilderExt as _;
    let named = place.as_os_str().as_bytes();
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(place)
        .map_err(|error| Error::io("make", named, error))?;
    let found = resolve(place).and_then(|found| found.folder());
    Ok(found.map_err(|error| Error::io("open", OsStr::as_bytes(place.as_os_str()), error))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_days_in_a_row_read_all() {
        let first = NaiveDate::from_ymd_opt(2025, 2, 20).unwrap();
        let mut parts: Vec<u32> = first
            .iter_days()
            .take(30)
            .map(|day| match share_of(day) {
                Share::Part { part, of: 30 } => part,
                other => panic!("{other:?}"),
            })
            .collect();
        parts.sort_unstable();
        assert_eq!(parts, (1..=30).collect::<Vec<_>>());
    }
}
