//! How far a snapshot's manifest is to be trusted, and what is held back where it is not.
//!
//! A destination may have been in other hands. What the manifest does not list was put there later.
//! What gives somebody rights (devices, set-id bits, capabilities) comes back only if the manifest
//! that was sealed lists it, or if a person asks for it.

use schema::record::Engine;

use super::{
    item::{RestoreItem, Rights},
    lookup::FoundEntry,
    recorded::RecordedSnapshot,
};
use crate::{
    error::{Error, Result},
    event::Stop,
    manifest::{Cursor, Reader},
    sys::{Kind, attributes::Attributes},
    verify::compare::is_right,
};

/// The attribute in which file systems keep the capabilities of a program.
const CAPABILITIES: &[u8] = b"security.capability";

/// How far a snapshot's manifest is to be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Vouching {
    /// It is the one that was sealed when the snapshot was made.
    Sealed,
    /// It was made from the tree as it stood later, there is no record to tell, or somebody else put
    /// the snapshot there.
    Unknown,
    /// It is not the one that was sealed: why.
    Differs(String),
}

impl Vouching {
    /// Finds out what a snapshot's records say.
    ///
    /// # Errors
    /// An interruption.
    pub(super) fn of(from: &RecordedSnapshot<'_>, stop: &Stop) -> Result<Self> {
        let (Some(id), Some(record)) = (from.id, from.record()) else {
            return Ok(Self::Unknown);
        };
        if record.id != id {
            return Ok(Self::Unknown);
        }
        if let Some(because) = from.manifest_fault(record, stop)? {
            return Ok(Self::Differs(because));
        }
        let of_tree = record.engine == Engine::Adopted || record.manifest_rebuilt_at.is_some();
        Ok(if of_tree || !from.store.is_known(id) {
            Self::Unknown
        } else {
            Self::Sealed
        })
    }
}

/// Refuses an entry that stands in the snapshot and that its manifest does not list.
///
/// # Errors
/// That refusal.
pub(super) fn check_listed(found: &FoundEntry, manifest: Option<Reader>) -> Result<()> {
    let (Some(manifest), Some(_)) = (manifest, found.stat) else {
        return Ok(());
    };
    // What cannot be read lists nothing and denies nothing.
    let Ok(None) = Cursor::new(manifest).find(&found.path) else {
        return Ok(());
    };
    Err(Error::refused(format!(
        "{} stands in the snapshot's folder, and its manifest does not list it: it was never backed up",
        found.path.shown()
    ))
    .hint("look at it; where it is yours, copy it by hand"))
}

/// Takes set-id bits from what an entry is to become; says whether there were any. Those of folders
/// give nobody rights.
pub(super) fn withhold_bits(item: &mut RestoreItem) -> bool {
    let wanted = &mut item.wanted;
    let has = wanted.kind == Kind::File && wanted.mode & 0o6000 != 0;
    if has {
        wanted.mode &= 0o1777;
    }
    has
}

/// The same item, which may give nobody rights.
pub(super) fn without_rights(item: &RestoreItem) -> RestoreItem {
    let mut item = item.clone();
    item.rights = Rights::Withheld;
    withhold_bits(&mut item);
    item
}

/// Takes the capabilities from an entry's attributes where nothing vouches for them; says whether
/// there were any.
pub(super) fn withhold_capabilities(
    item: &RestoreItem,
    stored: &Attributes,
    wanted: &mut Attributes,
) -> bool {
    let is_it = |(name, _): &(Vec<u8>, Vec<u8>)| name == CAPABILITIES;
    if !wanted.iter().any(is_it) {
        return false;
    }
    let keeps = match item.rights {
        Rights::Asked => true,
        Rights::Listed => is_right(&item.wanted, stored.clone()),
        Rights::Withheld => false,
    };
    if !keeps {
        wanted.retain(|one| !is_it(one));
    }
    !keeps
}
