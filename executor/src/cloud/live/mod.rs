//! A manifest of the live sources, for copies in the cloud without local snapshots.
//!
//! The same walk and the same matcher as for a snapshot say what belongs to it. Digests of files
//! that are surely untouched come from the last upload's manifest; all other files are read.

mod content;
mod making;

use chrono::{DateTime, FixedOffset, Local};
use schema::{
    Digest, Plan, SnapshotId,
    pattern::Excludes,
    plan::{CloudSyncStep, LiveSources},
    record::{Engine, FORMAT_VERSION, ReadSpan, SnapshotRecord, SnapshotTotals},
};

use self::making::Making;
use super::{memory::RemoteCache, roots::Roots};
use crate::{
    error::{Error, Result},
    event::Context,
    manifest::{self, Cursor, Reader},
    survey::{Bounds, Since, Tags, file_systems, in_manifest_order, survey_roots, sync},
};

/// Name of the manifest while it is made.
pub(in crate::cloud) const NEW: &str = "live.new";

/// The sources as they are now.
pub struct Live {
    /// The record of what was found.
    pub record: SnapshotRecord,
    /// The manifest.
    pub manifest: Reader,
    /// Where the files are.
    pub roots: Roots,
}

/// What live sources are called, and what is known of them.
pub struct LiveBasis {
    /// The name that what is found gets.
    pub snapshot: SnapshotId,
    /// The manifest of the last upload, with when the sources were read that it describes.
    pub last: Option<(Cursor, Since)>,
}

impl LiveBasis {
    /// That of a step, as far as the cache has it.
    #[must_use]
    pub fn of(cache: &RemoteCache, step: &CloudSyncStep) -> Self {
        Self {
            snapshot: step.snapshot,
            last: step.last.and_then(|id| content::last_upload(cache, id)),
        }
    }
}

/// Walks the sources, without the inodes in `left_out`, and writes their manifest to the cache.
///
/// # Errors
/// An interruption, an invalid pattern, or a cache that cannot be written.
pub fn survey_live_sources(
    cache: &RemoteCache,
    plan: &Plan,
    basis: LiveBasis,
    live: &LiveSources,
    left_out: &[(u64, u64)],
    context: Context<'_>,
) -> Result<Live> {
    let excludes = Excludes::new(&live.exclude_patterns)
        .map_err(|fault| Error::failed(format!("local.excludePatterns: {fault}")))?;
    // It changes while files are uploaded, and is of no use to anyone else.
    let mut never = vec![cache.inode()?];
    never.extend_from_slice(left_out);
    let bounds = Bounds {
        excludes: &excludes,
        one_file_system: live.one_file_system,
        never: &never,
    };
    let tags = Tags {
        caches: live.exclude_caches,
        names: &live.exclude_if_present,
    };
    let order = in_manifest_order(&live.sources);
    // As for a snapshot: what is touched from now on is read once more by the next copy, and stores
    // through a mapping move the change time.
    let from = Local::now().fixed_offset();
    sync::sync_file_systems(file_systems(&order, &bounds), context)?;
    let snapshot = basis.snapshot;
    let mut making = Making::new(cache, basis, live.max_hole_bytes, context)?;
    let mut roots = Roots::default();
    let mut sources = Vec::new();
    for root in survey_roots(&order) {
        sources.extend(making.source(root, (bounds, tags), &mut roots)?);
    }
    let Making {
        writer,
        totals,
        problems,
        ..
    } = making;
    let io = |error| write_error(cache, error);
    let manifest_digest = writer.finish().map_err(io)?;
    let record = SnapshotRecord {
        complete: totals.errors == 0 && sources.iter().all(|source| source.present),
        sources,
        totals,
        problems,
        sealed_at: context.clock.now(),
        ..begin_record(plan, snapshot, live, from, manifest_digest)
    };
    let manifest = Reader::new(cache.file(NEW)?).map_err(io)?;
    Ok(Live {
        record,
        manifest,
        roots,
    })
}

/// The record of sources that were read `from` a time until now, without what was found in them.
fn begin_record(
    plan: &Plan,
    snapshot: SnapshotId,
    live: &LiveSources,
    from: DateTime<FixedOffset>,
    manifest_digest: Digest,
) -> SnapshotRecord {
    SnapshotRecord {
        format_version: FORMAT_VERSION,
        id: snapshot,
        host: plan.host.clone(),
        run_id: plan.run_id.clone(),
        started_at: plan.created_at,
        sealed_at: from,
        day: plan.created_at.date_naive(),
        sequence: 0,
        read: Some(ReadSpan {
            from,
            until: Local::now().fixed_offset(),
        }),
        complete: false,
        suspect: Vec::new(),
        suspect_since: None,
        basis: None,
        line_from: None,
        engine: Engine::BuiltIn,
        made_by: concat!("backup ", env!("CARGO_PKG_VERSION")).to_owned(),
        sources: Vec::new(),
        exclude_patterns: live.exclude_patterns.clone(),
        exclude_caches: live.exclude_caches,
        exclude_if_present: live.exclude_if_present.clone(),
        totals: SnapshotTotals::default(),
        stored_by: Default::default(),
        files_stored_by: Default::default(),
        manifest: manifest::FILE_NAME.to_owned(),
        manifest_digest,
        problems: Vec::new(),
        manifest_rebuilt_at: None,
        record_rebuilt_at: None,
        gone: None,
        subvolume: false,
    }
}

fn write_error(cache: &RemoteCache, error: std::io::Error) -> Error {
    Error::io("write", cache.named(NEW).as_bytes(), error)
}
