//! The survey: one walk through the sources that serves both the prediction and the copy.
//!
//! Owns what belongs to a source (patterns, mount points, the destination itself) and the order of
//! the manifest. Folders are read on several threads; what was met is kept until the snapshot is
//! built from it, so that no source is walked twice. Reads only.

mod ahead;
mod bounds;
mod choice;
mod folder_task;
mod gone;
mod holes;
mod left_out;
mod marks;
mod moves;
mod record;
mod roots;
mod since;
mod stretches;
pub(crate) mod sync;
mod tags;
mod walk;

use std::ffi::OsString;

use chrono::{DateTime, FixedOffset};
use schema::{Gone, StoredPathBuf, config::AbsolutePath, inventory::Cost};

pub use bounds::Bounds;
pub use choice::SourceChoice;
pub(crate) use choice::{file_systems, in_manifest_order};
pub(crate) use gone::GoneSearch;
pub(crate) use holes::{HoleBudget, excess_holes, is_hollow, left_out_reason};
pub use left_out::LeftOutFolders;
pub(crate) use marks::MarkRecorder;
pub use moves::Moves;
pub(crate) use moves::Search;
pub(crate) use record::Noted;
pub use record::{Encountered, Record};
pub(crate) use roots::{Below, Root, survey_roots};
pub use since::{Change, Since, is_recent, nanos_of};
pub use stretches::{Stretch, StretchedManifest};
pub(crate) use stretches::{StretchSearch, Untouched};
pub use tags::Tags;
pub(crate) use tags::{Measured, Tagged};
pub(crate) use walk::{Content, WalkEvent, survey_source};

use crate::sys::{Dir, Stat};

/// What was found in all sources.
#[derive(Debug)]
pub struct Survey {
    /// When it was begun, by this machine's clock.
    pub from: DateTime<FixedOffset>,
    /// The sources in the manifest's order.
    pub sources: Vec<Surveyed>,
    /// Exclude patterns that leave out nothing of what was found.
    pub unmatched_patterns: Vec<String>,
    /// The folders that tags leave out.
    pub left_out: LeftOutFolders,
    /// What moved within the sources since the basis.
    pub moves: Moves,
    /// What is gone from the sources since the basis; none where nothing is.
    pub gone: Option<Gone>,
    /// The manifest that the stretches of sources are of; none where there are none.
    pub stretched: Option<StretchedManifest>,
}

/// What was found of one source.
#[derive(Debug)]
pub struct Surveyed {
    /// The configured path.
    pub path: AbsolutePath,
    /// What was found there, or why nothing was.
    pub found: Result<FoundSource, rustix::io::Errno>,
}

/// A source that is there.
#[derive(Debug)]
pub struct FoundSource {
    /// The folder that holds it.
    pub parent: Dir,
    /// Its name there; `.` for the root itself.
    pub name: OsString,
    /// What the kernel says of it.
    pub stat: Stat,
    /// What is in it.
    pub record: Record,
    /// The stretches in it, in the record's order; none where other sources are in it.
    pub stretches: Vec<Stretch>,
    /// Files whose content surely is not what the basis has at their path.
    pub other_files: u64,
    /// What takes most of what is to be copied of it.
    pub cost: Option<Cost>,
    /// The sources that were met in it, in the manifest's order.
    pub inner: Vec<InnerSource>,
}

/// A source that was met in another.
#[derive(Debug, Clone)]
pub struct InnerSource {
    /// The configured path.
    pub path: AbsolutePath,
    /// Its path relative to the source around it.
    pub below: StoredPathBuf,
    /// Whether something is mounted there.
    pub mounted: bool,
}
