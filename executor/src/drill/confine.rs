//! What the processes of the room may not do, whoever they are there.

use rustix::{
    io::Errno,
    process::{DumpableBehavior, set_dumpable_behavior},
    thread::{
        CapabilitySet, CapabilitySets, remove_capability_from_bounding_set, set_capabilities,
        set_no_new_privs,
    },
};

use crate::error::{Error, Result};

/// What is left: reading what belongs to others, and becoming somebody else, as services do. None of it reaches
/// out of the room, in which nothing is mounted that it could be used on.
const LEFT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID);

/// Gives all other capabilities up, for good and for all that is started from now on.
///
/// # Errors
/// The system refuses, and nothing may be started then.
pub(super) fn give_up_rights() -> Result<()> {
    give_up().map_err(|error| {
        Error::failed(format!(
            "the room of the drill cannot give up its rights: {error}"
        ))
    })
}

fn give_up() -> std::result::Result<(), Errno> {
    for bit in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(1 << bit);
        if LEFT.contains(one) {
            continue;
        }
        match remove_capability_from_bounding_set(one) {
            // A newer or an older kernel knows more or fewer of them.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(error) => return Err(error),
        }
    }
    set_no_new_privs(true)?;
    set_capabilities(
        None,
        CapabilitySets {
            effective: LEFT,
            permitted: LEFT,
            inheritable: CapabilitySet::empty(),
        },
    )?;
    // What a check runs has the same user: through `/proc/1/exe` it would come to the machine's own program,
    // through `/proc/1/fd` it could say that all is well.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}
