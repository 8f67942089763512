//! The next share of the stored data: read, compared, and remembered, so that as many checks as
//! there are shares read everything once.
//!
//! Each destination has its own turn, because two of them may take turns.

use crate::{
    error::Result,
    event::Context,
    state_dir::{Shares, StateDir},
    store::Store,
    verify::{self, memory, snapshots},
};
use schema::{
    config::Subset,
    health::VerifiedShare,
    verify::{Depth, Verification},
};

/// Reads and compares the next share of all snapshots, and remembers what was found in the state
/// directory. None where there is no snapshot yet.
///
/// # Errors
/// An interruption, a destination that cannot be read at all, or a state directory that cannot be
/// written. Damage is in the result.
pub fn read_share(
    state: &StateDir,
    store: &Store,
    wanted: Subset,
    context: Context<'_>,
) -> Result<Option<VerifiedShare>> {
    let Some(destination) = store.destination()? else {
        return Ok(None);
    };
    let found = snapshots::all_snapshots(store, *context.clock.now().offset());
    // Its turn comes again only in weeks.
    if let Some(error) = found.not_looked_at.into_iter().next() {
        return Err(error);
    }
    let all = found.all;
    if all.is_empty() {
        return Ok(None);
    }
    let mut shares = state.remembered(&destination.id).shares;
    let (part, of) = (shares.next(wanted, context.clock.now()), wanted.of);
    let chosen: Vec<usize> = (0..all.len()).collect();
    let found =
        verify::verify_snapshots(store, &all, &chosen, Depth::Subset { part, of }, context)?;
    memory::learn_damage(state, store, &all, &found)?;
    shares.was_read(part, of, found.ended_at);
    let mut remembered = state.remembered(&destination.id);
    remembered.shares = shares.clone();
    state.remember(&destination.id, remembered)?;
    Ok(Some(summarize_share(&found, part, &shares)))
}

fn summarize_share(found: &Verification, part: u32, shares: &Shares) -> VerifiedShare {
    let first = found.damage.first().map(|damage| {
        let name = damage.names.first();
        let name = name.map_or_else(String::new, |name| {
            format!("{}/{}: ", name.snapshot, name.path)
        });
        format!("{name}{}", damage.message)
    });
    VerifiedShare {
        part,
        of: shares.of,
        parts_read: shares.read_so_far().0,
        oldest_at: shares.read_so_far().1.unwrap_or(found.ended_at),
        files_read: found.files_read,
        bytes_read: found.bytes_read,
        damage_count: found.damage_count,
        first_damage: first,
    }
}
