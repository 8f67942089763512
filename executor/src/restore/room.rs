//! Checks whether several restores fit together: each one alone looks at itself only.

use std::collections::BTreeMap;

use schema::{FailureCode, amount, escape::unescape, plan::RestoreStep};

use super::{place, scan::Totals};
use crate::{
    error::{Error, Result},
    store::Store,
};

/// Refuses what does not fit where it is to go, before anything is written.
///
/// # Errors
/// A refusal with numbers, or a target that cannot be looked at.
pub fn check_room(store: &Store, steps: &[RestoreStep]) -> Result<()> {
    // By file system: what is needed, what is free, and a target there.
    let mut rooms: BTreeMap<u64, (u64, u64, &str)> = BTreeMap::new();
    for step in steps {
        let target = unescape(&step.target)
            .ok_or_else(|| Error::failed(format!("{} is no path", step.target)))?;
        let place =
            place::inspect_target(&target, store, step.through.iter().any(String::is_empty))?;
        let free = place::free_bytes(&place)?;
        let stat = match place.stat {
            Some(stat) => stat,
            None => place
                .parent
                .stat_self()
                .map_err(|error| Error::io("look at", &target, error))?,
        };
        let room = rooms.entry(stat.dev).or_insert((0, free, &step.target));
        room.0 = room.0.saturating_add(Totals::planned(step).needed);
    }
    for (needed, free, target) in rooms.into_values() {
        if needed > free {
            return Err(Error::refused(format!(
                "insufficient space: restoring to {target} needs {} ({needed} bytes) and {} ({free}) are free there",
                amount::bytes(needed),
                amount::bytes(free)
            ))
            .coded(FailureCode::NoSpace)
            .hint("free space there, or restore a part of it"));
        }
    }
    Ok(())
}
