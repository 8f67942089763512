//! The snapshots of each destination.

use executor::{ErrorKind, error::Result, event::Silent};
use schema::{Finding, Severity, config::DestinationName, output::list::SnapshotList};

use super::{Engine, Observer, remote::Ask};

/// What stands on the destination.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The snapshots and what else stands there.
    pub list: SnapshotList,
    /// Why there may be none: the destination is another machine's, or this one's under its old name;
    /// or why nothing is known of them but their folders.
    pub refusals: Vec<Finding>,
}

impl Engine {
    /// Lists all snapshots of each destination that has such: `local`, the disks, and the remotes with
    /// history as they are known here. What keeps one of several from being listed is no matter of the
    /// others.
    ///
    /// # Errors
    /// Those of the only destination; an interruption.
    pub fn list_all(
        &self,
        observer: &dyn Observer,
    ) -> Result<Vec<(DestinationName, Result<Listing>)>> {
        let local = DestinationName::new(DestinationName::LOCAL);
        if self.named().is_empty() {
            return Ok(vec![(local, Ok(self.list(observer)?))]);
        }
        let mut all = Vec::new();
        for name in self.config.names() {
            let view = self.of(&name);
            let view = view.filter(|it| it.config.local.enable || it.is_of_remote());
            let Some(view) = view else {
                continue;
            };
            if name.as_str() == DestinationName::CLOUD {
                continue;
            }
            let known = view.known(Ask::IfUnknown, observer);
            let listing = match known.and_then(|known| known.list_here()) {
                Err(error) if error.kind == ErrorKind::Interrupted => return Err(error),
                listing => listing.map_err(|error| view.error_in_own_words(error)),
            };
            all.push((name, listing));
        }
        if all.is_empty() {
            self.require_local()?;
        }
        Ok(all)
    }

    /// Lists all snapshots of the only destination, or of the one whose view this is.
    ///
    /// # Errors
    /// Refused if the destination is not there; fails if it cannot be read.
    pub fn list(&self, observer: &dyn Observer) -> Result<Listing> {
        self.known(Ask::Always, observer)?.list_here()
    }

    pub(super) fn list_here(&self) -> Result<Listing> {
        let operation = self.unlogged(&Silent);
        let destination = operation.destination_present()?;
        if let Some(remote) = &self.known_of {
            return Ok(Listing {
                list: planner::list_remote_snapshots(
                    &self.config,
                    &destination,
                    remote,
                    operation.now,
                ),
                refusals: Vec::new(),
            });
        }
        let mut refusals = Vec::new();
        if destination.snapshots.is_empty() {
            // A user who may not look into the state directory sees the list all the same.
            if let Ok(inventory) = operation.inventory_of(Some(destination.clone())) {
                refusals = planner::plan_maintenance(&self.config, &inventory, None).findings;
                refusals.retain(|finding| finding.severity == Severity::Refusal);
            }
        }
        // A user to whom only the folders are shown can mend nothing.
        if let Err(error) = self.require_records(&destination) {
            let code = planner::findings::code::DESTINATION_RECORD_UNREADABLE;
            let closed = Finding::new(Severity::Note, code, error.message);
            refusals = vec![error.hint.into_iter().fold(closed, Finding::hint)];
        }
        self.tell_in_own_words(&mut refusals);
        Ok(Listing {
            list: planner::list_snapshots(&self.config, &destination, operation.now),
            refusals,
        })
    }
}
