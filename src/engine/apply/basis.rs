//! Whether the basis of a run can be used: the manifest that says what of the sources is unchanged
//! may be damaged, or it or the tree cannot be read just now.

use executor::{error::Result, event::Event, state_dir::StateDir, store::Store, verify::memory};
use planner::unfinished::{Replan, replan_without_basis, snapshot_step};
use schema::{Inventory, Plan, inventory::DestinationState};

use crate::engine::{Notice, operation::Operation};

impl Operation<'_> {
    /// Why a run is planned anew whose basis cannot be used any more; none if it can, or if the
    /// snapshot was sealed already.
    pub(super) fn why_replan_without_basis(&self, plan: &Plan) -> Result<Option<Replan>> {
        let step = snapshot_step(plan);
        let Some((step, basis)) = step.and_then(|step| Some((step, step.basis.as_ref()?))) else {
            return Ok(None);
        };
        let Some(store) = self.engine.open_store()? else {
            return Ok(None);
        };
        if matches!(store.record(step.id), Ok(Some(_))) {
            return Ok(None);
        }
        let fault = match store.record(basis.id) {
            Ok(Some(record)) => {
                let damage = store.manifest_damage(&record, self.context.stop)?;
                let damage = damage.filter(|damage| !damage.serves);
                damage.map(|damage| damage.because)
            }
            Ok(None) => Some("its record is missing".to_owned()),
            Err(error) => Some(error.message),
        };
        Ok(fault.map(|fault| replan_without_basis(basis.id, &fault)))
    }

    /// Remembers which manifests cannot be used, so that whoever only looks knows it, too.
    pub(super) fn remember_manifests(&self, state: &StateDir, inventory: &Inventory) -> Result<()> {
        if self.engine.config.destinations.is_empty() {
            return self.remember_own_manifests(state, inventory);
        }
        self.for_each_view(|view, of| match of {
            None => view.remember_own_manifests(state, inventory),
            Some(name) if inventory.others.contains_key(name) => {
                view.remember_own_manifests(state, &inventory.view(name))
            }
            Some(_) => Ok(()),
        })
    }

    fn remember_own_manifests(&self, state: &StateDir, inventory: &Inventory) -> Result<()> {
        if let (Some(destination), Some(store)) =
            (&inventory.destination, self.engine.open_store()?)
        {
            memory::learn_manifests(state, &store, destination)?;
            memory::learn_forged(state, &store, destination, &destination.damaged)?;
            self.take_over_digests(state, &store, destination);
        }
        Ok(())
    }

    /// Keeps the digests of what stands on the destination where nothing is kept of it yet, as after an
    /// upgrade. What keeps a first digest without having looked at the others, such as a run that is
    /// continued, would make them look like what somebody put there later.
    ///
    /// # Errors
    /// Fails if the destination cannot be looked at.
    pub(in crate::engine) fn take_over_before(&self, state: &StateDir) -> Result<()> {
        self.for_each_view(|view, _| view.take_over_own_before(state))
    }

    fn take_over_own_before(&self, state: &StateDir) -> Result<()> {
        match self.engine.open_store()? {
            Some(store) if store.kept.is_empty() => {
                let destination = self.look_at_destination()?;
                self.take_over_digests(state, &store, &destination);
            }
            _ => {}
        }
        Ok(())
    }

    fn take_over_digests(&self, state: &StateDir, store: &Store, destination: &DestinationState) {
        // What cannot be kept is no reason for no backup.
        match memory::take_over_digests(state, store, destination, self.now) {
            Ok(new) if !new.is_empty() => {
                let finding = planner::findings::records::describe_taken_over(&new);
                self.context.observer.event(Event::Noticed(&finding));
            }
            Ok(_) => {}
            Err(error) => {
                let because = &error.message;
                self.notice(&Notice::NotRemembered { because });
            }
        }
    }
}
