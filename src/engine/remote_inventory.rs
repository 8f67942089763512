//! What an inventory has of a named remote: what is known of it, and of the disks that feed it.

use executor::{error::Result, scan, store::Store};
use schema::{Config, Inventory, SnapshotId, config::DestinationName};

use super::{Wanted, destination::RecordReading, inventory::Looks, operation::Operation};

impl Operation<'_> {
    /// What is known of a named remote, by what is found of the disks that feed it.
    pub(super) fn look_for_remote(
        &self,
        name: &DestinationName,
        inventory: &mut Inventory,
        wanted: &Wanted,
        looks: &mut Looks<'_>,
    ) -> Result<()> {
        self.look_at_feeds(name, inventory)?;
        let config = &self.engine.config;
        let view = self.engine.view_of(Some(name))?;
        let remote = self.in_view(&view);
        let found = if view.is_of_remote() {
            remote.inventory_of_history((config, inventory, name), looks)?
        } else {
            let copies = view.remembered_copies().unwrap_or_default().memory;
            match planner::mirrors_live(config, inventory, name, (&copies, wanted)) {
                true => remote.inventory_of_live(None, looks)?,
                false => {
                    let newest = self.newest_for(name, inventory)?;
                    let newest = newest.as_ref().map(|(store, id)| (store, *id));
                    Inventory {
                        cloud: remote.cloud_state(newest)?,
                        ..remote.inventory_of(None)?
                    }
                }
            }
        };
        inventory.others.insert(name.clone(), found.into_other());
        Ok(())
    }

    /// Looks at the disks that a remote may get snapshots from and that nobody looked at, without the sources.
    fn look_at_feeds(&self, remote: &DestinationName, inventory: &mut Inventory) -> Result<()> {
        for feed in planner::feeds_of(&self.engine.config, remote) {
            let found = inventory.view(&feed);
            if found.destination.is_some() || found.fault.is_some() {
                continue;
            }
            let view = self
                .engine
                .view_of(Some(&feed).filter(|of| !of.is_predefined()))?;
            let found = self.in_view(&view).look_at_one()?;
            if feed.is_predefined() {
                inventory
                    .known_destinations
                    .clone_from(&found.known_destinations);
                inventory.destination = found.destination;
            } else {
                inventory.others.insert(feed, found.into_other());
            }
        }
        Ok(())
    }

    /// The disk whose view this is, without the sources; of one that cannot be looked at, that it is absent.
    fn look_at_one(&self) -> Result<Inventory> {
        let found = match self.look_by(RecordReading::Changed) {
            Err(error) if error.kind.step_status().is_some() => self.absent_because(error),
            found => found?,
        };
        self.inventory_of(Some(found))
    }

    /// The newest good snapshot of the first disk that feeds a remote.
    fn newest_for(
        &self,
        remote: &DestinationName,
        inventory: &Inventory,
    ) -> Result<Option<(Store, SnapshotId)>> {
        for feed in planner::feeds_of(&self.engine.config, remote) {
            let found = inventory.view(&feed).destination;
            let newest = found.as_ref();
            let newest = newest.and_then(|found| planner::choose_reference(found, self.now));
            let Some(newest) = newest.map(|newest| newest.record.id) else {
                continue;
            };
            let view = self
                .engine
                .view_of(Some(&feed).filter(|of| !of.is_predefined()))?;
            // It says how much there will be to do, and is no reason not to do it.
            if let Some(store) = view.open_store().ok().flatten() {
                return Ok(Some((store, newest)));
            }
        }
        Ok(None)
    }

    /// What is known of the remote with history whose view this is, and the sources where it may get them live.
    /// Nothing is asked of it: the upload lists it before it puts anything.
    fn inventory_of_history(
        &self,
        (config, found, name): (&Config, &Inventory, &DestinationName),
        looks: &mut Looks<'_>,
    ) -> Result<Inventory> {
        let mut inventory = self.known_inventory()?;
        let (let_go, taken) = planner::going_on_remote(&self.engine.config, &inventory);
        self.add_lost(&mut inventory, &let_go, &taken)?;
        let seen = planner::sources_of_feeds(config, found, name);
        let known = inventory.cloud.as_ref();
        let is_needed = seen.is_none() && planner::needs_sources(config, found, name, known);
        inventory.sources = seen.unwrap_or_default();
        if !is_needed {
            return Ok(inventory);
        }
        let choice = (&self.engine.config.local).into();
        let left_out = looks.left_out();
        let (sources, survey) = scan::scan_sources(&choice, None, None, &left_out, self.context)?;
        Ok(Inventory {
            sources,
            unmatched_patterns: survey.unmatched_patterns,
            ..inventory
        })
    }

    /// What is known of the remote with history whose view this is, without the sources.
    pub(super) fn known_inventory(&self) -> Result<Inventory> {
        Ok(Inventory {
            cloud: self.cloud_state(None)?,
            ..self.inventory_of(None)?
        })
    }
}
