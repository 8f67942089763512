//! The snapshots beside the basis: those that are linked to as well, and the one that judges.

use schema::plan::{Basis, SnapshotStep};

use crate::{
    error::Result, manifest::Cursor, snapshot::build_context::Reference, store::Store,
    survey::Since, sys::Folder,
};

/// What is linked to besides the basis, and since when all of them are as they are.
pub(super) struct Also {
    pub(super) trees: Vec<Folder>,
    pub(super) ids: Vec<Basis>,
    pub(super) since: Vec<Since>,
}

/// Opens what is linked to besides the basis; what cannot be opened is done without.
pub(super) fn open_also_linked(store: &Store, step: &SnapshotStep) -> Result<Also> {
    let since_of = |id| -> Result<Since> {
        let record = store.record(id)?;
        Ok(record.as_ref().map_or_else(Since::never, Since::of))
    };
    let mut all = Also {
        trees: Vec::new(),
        ids: Vec::new(),
        since: vec![match &step.basis {
            Some(basis) => since_of(basis.id)?,
            None => Since::never(),
        }],
    };
    for other in &step.also_link {
        if let (Ok(tree), Ok(since), Ok(_)) = (
            store.snapshot(other.home, other.id),
            since_of(other.id),
            store.manifest(other.id),
        ) {
            all.trees.push(Folder::top(tree));
            all.since.push(since);
            all.ids.push(other.clone());
        }
    }
    Ok(all)
}

/// What the new tree is judged by, with its manifest where that is not the basis'.
pub(super) fn open_reference(store: &Store, step: &SnapshotStep) -> (Reference, Option<Cursor>) {
    let basis = step.basis.as_ref().map(|basis| basis.id);
    let Some(id) = step.suspect_when.reference.filter(|id| Some(*id) != basis) else {
        return (Reference::Basis, None);
    };
    let record = store.record(id).ok().flatten();
    let origins = record.map(|record| record.stored_by.into_keys().collect());
    let manifest = store.manifest(id).ok().map(Cursor::new);
    (Reference::Other(origins.unwrap_or_default()), manifest)
}
