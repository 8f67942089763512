//! How many copies there are of what is backed up, with when each was last read back.

use std::collections::BTreeMap;

use planner::copies::{count_copies, with_checks};
use schema::{
    config::DestinationName,
    drill::DrillVerdict,
    output::copies::{CheckedCopy, Copies},
};

use super::Engine;

impl Engine {
    /// The copies of each list of sources. When they were last read back is told where this machine, and this
    /// user, has a state directory to remember it in.
    #[must_use]
    pub fn count_copies(&self) -> Vec<Copies> {
        let names = self.config.names().into_iter();
        let known: BTreeMap<_, _> = names
            .filter_map(|name| {
                let checked = self.of(&name)?.checked_copy(&name)?;
                Some((name, checked))
            })
            .collect();
        with_checks(count_copies(&self.config), &known)
    }

    /// When what is on the destination of this name, whose view this is, was last read back.
    fn checked_copy(&self, name: &DestinationName) -> Option<CheckedCopy> {
        let state = self.state().ok().flatten()?;
        let read = state.read_back(&self.config, &self.cloud_remote());
        let is_cloud = name.as_str() == DestinationName::CLOUD;
        let drill = state.drill().filter(|_| !is_cloud);
        let passed = drill.filter(|drill| drill.verdict == DrillVerdict::Passed);
        Some(CheckedCopy {
            verified_at: match self.config.local.enable && !is_cloud {
                true => read.disk_at,
                false => read.remote_at,
            },
            drilled_at: passed.map(|drill| drill.ended_at),
        })
    }
}
