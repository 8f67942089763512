//! What a build begins with: the log of copied files, the manifests of the basis and of the new tree, and
//! the tree's own folder.

use std::{collections::HashMap, sync::Arc, time::Instant};

use schema::{StoredPath, StoredPathBuf, plan::Basis};

use super::{Builder, stretches::StretchedBasis};
use crate::{
    error::{Error, Result},
    manifest::{Cursor, Entry, SegmentWriter, Segments},
    names::Namer,
    snapshot::{
        build_context::BuildContext,
        compared::Compared,
        jobs::{BuildJob, DirectoryNode, FolderMetadata, Tally},
        resume_journal::{CopiedFile, ResumeJournal, Taken},
        start::Started,
    },
    store::{Damaged, Store},
    survey::{LeftOutFolders, StretchedManifest, Surveyed},
    sys::{Folder, Kind, Takeover, stat::Nanos},
};

/// Opens the log of copied files for this run, with what it has of earlier ones and of this one.
pub(super) fn open_log(
    store: &Store,
    started: &Started,
    read_from: Nanos,
    fresh: &Taken,
) -> Result<(ResumeJournal, HashMap<u64, CopiedFile>)> {
    let (mut log, mut copied) = ResumeJournal::open(&started.records)
        .map_err(|error| store.io("open", "the log of copied files", error))?;
    log.begin_run(read_from)
        .map_err(|error| store.io("write", "the log of copied files", error))?;
    for (inode, is_bare) in fresh {
        if let Some(found) = copied.get_mut(inode) {
            found.fresh = true;
            found.is_bare = *is_bare;
        }
    }
    Ok((log, copied))
}

/// The manifest of the basis, its segments, and the new one.
type OpenManifests = (Option<Cursor>, Option<Arc<Segments>>, SegmentWriter);

/// Opens the manifest of the basis, and a new one that shares segments with it; one of a run that was
/// interrupted is written anew.
fn open_manifests(
    build: &BuildContext<'_>,
    started: &Started,
    also: &[Basis],
) -> Result<OpenManifests> {
    let (store, step) = (build.store, build.step);
    // What is linked is only linked less where something is not known of the basis; a clone has it all the same.
    let damaged = match started.clone_of {
        Some(_) => Damaged::Told,
        None => Damaged::PassedOver,
    };
    let opened = step.basis.as_ref().map(|from| {
        store
            .manifests_with_segments(from.id, also, damaged)
            .map_err(Error::of_basis)
    });
    let (basis, segments): (_, Option<Arc<Segments>>) = match opened.transpose()? {
        // Users and groups have the names that this machine gives them now.
        Some((reader, segments)) => (Some(Cursor::new(reader.without_names())), segments),
        None => (None, None),
    };
    let manifest = store.begin_manifest(
        &started.records,
        step.id,
        segments.clone(),
        build.one_by_one,
        build.context,
    )?;
    Ok((basis, segments, manifest))
}

/// The tree's own folder, with its entry in the manifest.
fn begin_tree(
    build: &BuildContext<'_>,
    started: &Started,
    run_id: &str,
) -> Result<(Arc<DirectoryNode>, Entry)> {
    let io = |error| {
        let path = format!("partial of run {run_id}");
        build.store.io("look at", &path, error)
    };
    let tree = started.tree.again().map_err(io)?;
    // The snapshot's own folder: readable by all, the host's folder above decides who gets here.
    let entry = Entry {
        kind: Kind::Folder,
        mode: 0o755,
        mtime: i128::from(build.step.started_at.timestamp()) * 1_000_000_000,
        ..Entry::of(StoredPath::root(), &tree.stat_self().map_err(io)?)
    };
    let root = DirectoryNode::new(
        Folder::top_to_make(
            tree,
            match (started.clone_of.is_some(), started.continued) {
                (true, _) => Takeover::Clone,
                (false, true) => Takeover::Leftover,
                (false, false) => Takeover::Nothing,
            },
        ),
        build.basis.clone(),
        None,
        StoredPathBuf::new(),
        (started.continued, started.clone_of.is_some()),
    );
    *root.end() = FolderMetadata {
        entry: Some(entry.clone()),
        ..FolderMetadata::default()
    };
    Ok((root, entry))
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        build: &'a BuildContext<'a>,
        started: &'a Started,
        (sources, left_out, stretched): (Vec<Surveyed>, LeftOutFolders, Option<StretchedManifest>),
        log: ResumeJournal,
        (also, reference): (&[Basis], Option<Cursor>),
        run_id: &str,
    ) -> Result<Self> {
        let (store, step) = (build.store, build.step);
        let (basis, segments, manifest) = open_manifests(build, started, also)?;
        let stretched = StretchedBasis::of(build, stretched, segments, also);
        let (root, entry) = begin_tree(build, started, run_id)?;
        let mut this = Self {
            build,
            basis,
            stretched,
            reference,
            fed: build.feed.and_then(|feed| feed.manifest().ok()),
            compared: Compared::new(step, left_out),
            manifest,
            log,
            sources: sources.into_iter(),
            open: None,
            nodes: vec![root],
            namers: vec![Namer::default()],
            groups: HashMap::new(),
            group_count: 0,
            gone_in: None,
            job: BuildJob::default(),
            full: Vec::new(),
            tally: Tally::default(),
            records: Vec::new(),
            last_checkpoint: Instant::now(),
            last_space_check: Instant::now(),
        };
        this.tally.totals.entries += 1;
        this.tally.totals.folders += 1;
        this.manifest
            .write(&entry)
            .map_err(|error| store.io("write", "the manifest", error))?;
        Ok(this)
    }
}
