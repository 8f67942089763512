//! Whether lines call users and groups what they are called on this machine.

use std::sync::Arc;

use schema::escape;

use crate::sys::Owners;

/// The user and the group that were asked for last, and what they are called here: most entries that follow
/// each other have the same.
#[derive(Default)]
pub(crate) struct NamesHere(Option<KnownOwners>);

struct KnownOwners {
    of: (u32, u32),
    names: [Option<Vec<u8>>; 2],
}

impl NamesHere {
    /// Whether a line calls this user and group, by their numbers, what they are called here. `names` are as
    /// they stand in the line.
    pub(crate) fn are(&mut self, of: (u32, u32), names: [Option<&[u8]>; 2]) -> bool {
        let known = self.0.take().filter(|known| known.of == of);
        let known = known.unwrap_or_else(|| {
            let Owners { user, group } = Owners::of(of.0, of.1);
            let text = |name: Option<Arc<str>>| Some(escape::escape(name?.as_bytes()).into());
            KnownOwners {
                of,
                names: [text(user), text(group)],
            }
        });
        let known = self.0.insert(known);
        known.names.each_ref().map(Option::as_deref) == names
    }
}
