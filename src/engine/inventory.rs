//! Taking an inventory: what the executor sees, with the basis that the planner chooses between.

use std::collections::BTreeMap;

use executor::{
    Error,
    cloud::memory::RemoteCache,
    error::Result,
    run::Surveys,
    scan::{self, ComparedBasis, SharedScan},
    secret_file::unusable_secrets,
    store::{ManifestDamage, Store},
    survey::Survey,
    trust,
    verify::forged,
};
use planner::{destination_absence, scope::InventoryScope, unfinished::UnusableBasis};
use schema::{
    Config, FailureCode, Finding, Inventory, Severity, SnapshotId,
    cloud::{CloudChange, CloudState},
    config::DestinationName,
    inventory::{DestinationState, SnapshotState, SourceState, UntrustedFile},
};

use super::{
    Engine, Observer, Wanted,
    destination::{RecordReading, host_name},
    operation::Operation,
};

/// Snapshots whose manifests could not be read a moment ago, with the reason, by destination.
pub(super) type UnusableBases = BTreeMap<(Option<DestinationName>, SnapshotId), UnusableBasis>;

/// What an inventory is taken for.
#[derive(Clone, Copy)]
pub(super) struct InventoryRequest<'a> {
    /// The destinations whose steps are wanted.
    pub(super) wanted: &'a Wanted,
    /// Snapshots that are no basis.
    pub(super) unusable: &'a UnusableBases,
    /// Whether a snapshot will be made from what is found.
    pub(super) to_run: bool,
}

/// What the looks at the sources for several destinations share.
pub(super) struct Looks<'a> {
    /// The engine that knows all of them.
    engine: &'a Engine,
    scans: SharedScan,
    left_out: Option<Vec<(u64, u64)>>,
}

impl<'a> Looks<'a> {
    fn of(engine: &'a Engine) -> Self {
        Self {
            engine,
            scans: SharedScan::new(!engine.config.destinations.is_empty()),
            left_out: None,
        }
    }

    /// The inodes that no walk enters.
    pub(super) fn left_out(&mut self) -> Vec<(u64, u64)> {
        let left_out = &mut self.left_out;
        let left_out = left_out.get_or_insert_with(|| self.engine.inodes_left_out());
        left_out.clone()
    }
}

impl Engine {
    /// Takes the whole inventory: the destination and the sources as they are. Writes nothing.
    ///
    /// # Errors
    /// Fails if the destination or the state directory cannot be looked at, or on an interruption.
    pub fn take_inventory(&self, observer: &dyn Observer) -> Result<Inventory> {
        let request = InventoryRequest {
            wanted: &Wanted::default(),
            unusable: &UnusableBases::new(),
            to_run: false,
        };
        let (inventory, _) = self.unlogged(observer).take_inventory(request)?;
        Ok(inventory)
    }
}

impl Operation<'_> {
    /// Takes the inventory that is asked for, with the surveys of the sources that it comes from.
    ///
    /// Of several destinations each is looked at for itself: one that cannot be looked at is refused, and
    /// is nothing to the others.
    pub(super) fn take_inventory(
        &self,
        request: InventoryRequest<'_>,
    ) -> Result<(Inventory, Surveys)> {
        let mut surveys = Surveys::new();
        let mut looks = Looks::of(self.engine);
        if self.engine.config.destinations.is_empty() {
            let (inventory, survey) = self.take_own_inventory(request, &mut looks)?;
            surveys.extend(survey.map(|survey| (None, survey)));
            return Ok((inventory, surveys));
        }
        let base = self.engine.base();
        let base = self.in_view(&base);
        let (mut inventory, survey) = match request.wanted.has_base() {
            true => base.look_for_one(request, &mut looks)?,
            false => (base.inventory_of(None)?, None),
        };
        surveys.extend(survey.map(|survey| (None, survey)));
        for name in self.engine.named() {
            if !request.wanted.has(&name) {
                continue;
            }
            let view = self.engine.view_of(Some(&name))?;
            if view.remote.is_some() {
                self.look_for_remote(&name, &mut inventory, request.wanted, &mut looks)?;
                continue;
            }
            let (found, survey) = self.in_view(&view).look_for_one(request, &mut looks)?;
            inventory.others.insert(name.clone(), found.into_other());
            surveys.extend(survey.map(|survey| (Some(name), survey)));
        }
        Ok((inventory, surveys))
    }

    pub(super) fn absent_because(&self, error: Error) -> DestinationState {
        DestinationState {
            absent_because: Some(error.message),
            absent_code: error.code,
            ..DestinationState::absent(self.engine.config.local.mount_point.clone())
        }
    }

    /// The inventory of one of several destinations; of one that cannot be looked at, what keeps it from that.
    fn look_for_one(
        &self,
        request: InventoryRequest<'_>,
        looks: &mut Looks<'_>,
    ) -> Result<(Inventory, Option<Survey>)> {
        let error = match self.take_own_inventory(request, looks) {
            Err(error) if error.kind.step_status().is_some() => error,
            found => return found,
        };
        let code = planner::findings::code::DESTINATION_UNSEEN;
        let fault = Finding::new(Severity::Refusal, code, error.message);
        let inventory = Inventory {
            fault: Some(error.hint.into_iter().fold(fault, Finding::hint)),
            ..self.inventory_of(None)?
        };
        Ok((inventory, None))
    }

    /// The inventory of the only destination, or of the one whose view this is.
    fn take_own_inventory(
        &self,
        request: InventoryRequest<'_>,
        looks: &mut Looks<'_>,
    ) -> Result<(Inventory, Option<Survey>)> {
        let only = match &self.engine.of {
            Some(_) => None,
            None => request.wanted.part(),
        };
        let config = &self.engine.config;
        let reading = match request.to_run {
            true => RecordReading::ChangedAndKept,
            false => RecordReading::Changed,
        };
        let looked = InventoryScope::needs_destination(config)
            .then(|| self.engine.look_with_store(reading, self.context))
            .transpose()?;
        let (destination, store) = looked.unzip();
        let store = store.flatten();
        let is_away = destination
            .as_ref()
            .is_some_and(|found| destination_absence(config, found).is_some());
        let scope = InventoryScope::of(config, destination.as_ref(), only);
        match (scope, destination) {
            (InventoryScope::LiveSources, found) => {
                Ok((self.inventory_of_live(found, looks)?, None))
            }
            (InventoryScope::Machine, found) => Ok((self.inventory_of(found)?, None)),
            (InventoryScope::Copies, Some(found)) => {
                Ok((self.inventory_of_copies(found, store, request)?, None))
            }
            (InventoryScope::Whole, Some(found)) => {
                let (inventory, survey) = self.whole_inventory(found, store, request, looks)?;
                // Where others are served, nothing is kept for a snapshot that is not made.
                let is_kept = self.engine.of.is_none() || !is_away;
                Ok((inventory, survey.filter(|_| is_kept)))
            }
            (InventoryScope::Copies | InventoryScope::Whole, None) => {
                Err(Error::failed("the destination was not looked at"))
            }
        }
    }

    /// An inventory without the sources, for plans that do not touch them.
    pub(super) fn inventory_of(&self, destination: Option<DestinationState>) -> Result<Inventory> {
        let state = self.engine.state()?;
        let (known, faults, unwritable) = match state {
            Some(state) => (
                state.known_destinations()?,
                state.faults(),
                state.unwritable(),
            ),
            None => (Vec::new(), Vec::new(), None),
        };
        let untrusted = look_at_deciding_files(&self.engine.config);
        // What this user may not even look at, another's run may use. What others could change is told
        // as that.
        let mut unusable = unusable_secrets(&self.engine.config, |fault| !fault.is_hidden);
        unusable.retain(|one| !untrusted.iter().any(|it| one.because.contains(&it.path)));
        Ok(Inventory {
            format_version: schema::inventory::FORMAT_VERSION,
            taken_at: self.now,
            host: host_name(),
            privileged: nix::unistd::geteuid().is_root(),
            power: scan::scan_power(),
            machine: executor::sys::machine::machine_id(),
            known_destinations: known,
            destination,
            sources: Vec::new(),
            unmatched_patterns: Vec::new(),
            gone: None,
            rsync: None,
            cloud: None,
            state_faults: faults,
            state_unwritable: unwritable,
            fault: None,
            untrusted,
            unusable_secrets: unusable,
            others: BTreeMap::new(),
        })
    }

    /// The destination and what is remembered of the copies in the cloud, without the sources.
    fn inventory_of_copies(
        &self,
        mut destination: DestinationState,
        store: Option<Store>,
        request: InventoryRequest<'_>,
    ) -> Result<Inventory> {
        self.mark_unusable(&mut destination, request.unusable);
        let newest = planner::choose_reference(&destination, self.now);
        let newest = store.as_ref().zip(newest);
        let newest = newest.map(|(store, newest)| (store, newest.record.id));
        Ok(Inventory {
            cloud: self.cloud_state(newest)?,
            ..self.inventory_of(Some(destination))?
        })
    }

    /// The destination, the sources compared with its basis, and the copies in the cloud.
    fn whole_inventory(
        &self,
        mut destination: DestinationState,
        store: Option<Store>,
        request: InventoryRequest<'_>,
        looks: &mut Looks<'_>,
    ) -> Result<(Inventory, Option<Survey>)> {
        if let Some(store) = &store {
            self.recheck_manifests(store, &mut destination)?;
        }
        self.mark_unusable(&mut destination, request.unusable);
        if let Some(store) = &store {
            self.add_forged(store, &mut destination)?;
        }
        let (sources, survey, basis) =
            self.survey_sources(&mut destination, store.as_ref(), request.to_run, looks)?;
        let use_rsync = self.engine.config.local.use_rsync;
        let inventory = Inventory {
            sources,
            unmatched_patterns: survey.unmatched_patterns.clone(),
            gone: survey.gone.clone(),
            rsync: use_rsync.then(scan::find_rsync),
            cloud: self.cloud_state(basis)?,
            ..self.inventory_of(Some(destination))?
        };
        Ok((inventory, Some(survey)))
    }

    /// Looks at the sources, compared with the newest snapshot whose manifest can be read to its
    /// end. What cannot is said in the destination's state, so that the plan has the same basis.
    fn survey_sources<'s>(
        &self,
        destination: &mut DestinationState,
        store: Option<&'s Store>,
        to_run: bool,
        looks: &mut Looks<'_>,
    ) -> Result<SurveyedSources<'s>> {
        let choice = executor::survey::SourceChoice {
            sync: to_run,
            ..(&self.engine.config.local).into()
        };
        let left_out = looks.left_out();
        loop {
            let basis = store.zip(planner::choose_basis(destination, self.now));
            if let Some((store, basis)) = &basis
                && let Err(error) = store.snapshot(basis.home, basis.id)
            {
                let code = Some(FailureCode::TreeUnreadable);
                mark_one_unusable(destination, basis.id, error.message, code);
                continue;
            }
            let basis = basis.map(|(store, basis)| (store, basis.id));
            if let Some((store, id)) = basis
                && let Some(damage) = self.basis_damage(store, id)?
            {
                let (code, serves) = (damage.code(), damage.serves);
                mark_one_unusable(destination, id, damage.because, code);
                if !serves {
                    continue;
                }
            }
            let also = planner::also_link(destination, self.now);
            let open = basis.map(|(store, id)| {
                let also = also.clone();
                move || store.manifests(id, &also)
            });
            let capabilities = destination.capabilities();
            // Only a clone has what it need not be given.
            let clones = also.is_empty() && capabilities.is_some_and(|can| can.clones);
            let record = match basis {
                Some((store, id)) if clones => store.record(id).ok().flatten(),
                _ => None,
            };
            let open = open.as_ref().map(|manifest| ComparedBasis {
                manifest,
                stretched: record.as_ref(),
            });
            let (scans, context) = (&mut looks.scans, self.context);
            match scans.scan(&choice, open, capabilities, &left_out, context) {
                Ok((sources, survey)) => return Ok((sources, survey, basis)),
                Err(error) => match basis {
                    Some((_, id)) if error.is_of_basis() => {
                        mark_one_unusable(destination, id, error.message, None);
                    }
                    _ => return Err(error),
                },
            }
        }
    }

    /// Why nothing can be linked to a snapshot: its record and its manifest are read now, whatever was
    /// recalled of them.
    fn basis_damage(&self, store: &Store, id: SnapshotId) -> Result<Option<ManifestDamage>> {
        match store.record(id) {
            Ok(Some(record)) => store.manifest_damage(&record, self.context.stop),
            Ok(None) => Ok(Some(ManifestDamage::of_record(
                "its record is missing".to_owned(),
            ))),
            Err(error) => Ok(Some(ManifestDamage::of_record(error.message))),
        }
    }

    /// Where somebody changed snapshots: adds what of the basis shares the files that were changed.
    fn add_forged(&self, store: &Store, destination: &mut DestinationState) -> Result<()> {
        let is_changed =
            |one: &&SnapshotState| one.manifest_fault_code == Some(FailureCode::ManifestChanged);
        let changed = destination.snapshots.iter().filter(is_changed);
        let changed: Vec<SnapshotId> = changed.map(|one| one.record.id).collect();
        let basis = planner::choose_basis(destination, self.now);
        let Some(basis) = basis.filter(|_| !changed.is_empty()) else {
            return Ok(());
        };
        let place = (basis.id, basis.home);
        for file in forged::find_forged(store, place, &changed, self.context)? {
            let mut known = destination.damaged.iter();
            if !known.any(|known| known.inode == file.inode) {
                destination.damaged.push(file);
            }
        }
        destination.damaged.sort_by_key(|one| one.inode);
        Ok(())
    }

    /// Looks again at manifests that were found damaged once: a disk that answers again, or a
    /// repair, makes a basis of its snapshot again.
    fn recheck_manifests(&self, store: &Store, destination: &mut DestinationState) -> Result<()> {
        let newest_first = destination.snapshots.iter_mut().rev();
        // What is older than a whole one is not asked for.
        for snapshot in newest_first.take_while(|one| one.manifest_fault.is_some()) {
            let damage = store.manifest_damage(&snapshot.record, self.context.stop)?;
            let changed = store.changed(&snapshot.record).is_some();
            snapshot.manifest_fault_code = match changed {
                true => Some(FailureCode::ManifestChanged),
                false => damage.as_ref().and_then(ManifestDamage::code),
            };
            snapshot.manifest_fault = damage.map(|damage| damage.because);
        }
        Ok(())
    }

    /// The live sources, compared with the last upload as far as it is known here.
    pub(super) fn inventory_of_live(
        &self,
        destination: Option<DestinationState>,
        looks: &mut Looks<'_>,
    ) -> Result<Inventory> {
        let mut cloud = self.cloud_state(None)?.unwrap_or_default();
        let state = self.engine.state()?;
        let remote = self.engine.cloud_remote();
        let cache = state.and_then(|state| RemoteCache::open(&state, &remote).ok().flatten());
        let last = cloud.memory.last.as_ref().map(|last| last.id);
        let known = cache.as_ref().zip(last);
        let known = known.filter(|(cache, id)| cache.manifest(*id).is_some());
        let open = known.map(|(cache, id)| {
            move || {
                cache.manifest(id).ok_or_else(|| {
                    Error::failed(format!("the manifest of the upload of {id} is gone"))
                })
            }
        });
        let open = open.as_ref().map(|manifest| ComparedBasis {
            manifest,
            stretched: None,
        });
        let left_out = cache.as_ref().and_then(|cache| cache.inode().ok());
        let left_out: Vec<(u64, u64)> = looks.left_out().into_iter().chain(left_out).collect();
        let choice = (&self.engine.config.local).into();
        let (sources, survey) = scan::scan_sources(&choice, open, None, &left_out, self.context)?;
        // The sources were compared with the last upload itself.
        cloud.pending = known.map(|_| CloudChange::default());
        Ok(Inventory {
            sources,
            unmatched_patterns: survey.unmatched_patterns,
            gone: survey.gone,
            cloud: Some(cloud),
            ..self.inventory_of(destination)?
        })
    }

    /// Has the snapshots that could not be read a moment ago told as such.
    fn mark_unusable(&self, destination: &mut DestinationState, unusable: &UnusableBases) {
        for snapshot in &mut destination.snapshots {
            let key = (self.engine.of.clone(), snapshot.record.id);
            if let Some(why) = unusable.get(&key)
                && snapshot.manifest_fault.is_none()
            {
                snapshot.manifest_fault = Some(why.because.clone());
                snapshot.manifest_fault_code = why.code;
            }
        }
    }

    /// What is known of the copies in the cloud without asking it.
    pub(super) fn cloud_state(
        &self,
        newest: Option<(&Store, SnapshotId)>,
    ) -> Result<Option<CloudState>> {
        let cloud = &self.engine.config.cloud;
        if !cloud.enable {
            return Ok(None);
        }
        let state = self.engine.state()?;
        let remote = self.engine.cloud_remote();
        let config_file = cloud.config_file.as_ref();
        if self.engine.is_of_remote() {
            let state = state.as_ref();
            return Ok(Some(scan::scan_history(state, &remote, config_file)));
        }
        Ok(Some(scan::scan_cloud(
            state.as_ref(),
            newest,
            &remote,
            config_file,
        )))
    }
}

/// Which of the files that decide what is run others could change. What cannot be looked at is told by
/// whoever would start it.
pub(super) fn look_at_deciding_files(config: &Config) -> Vec<UntrustedFile> {
    let files = planner::deciding_files(config).into_iter();
    let untrusted = files.filter_map(|(option, path)| {
        let distrust = trust::find_distrust(path.as_path()).ok().flatten()?;
        Some(UntrustedFile {
            option: option.to_owned(),
            path: path.to_string(),
            because: distrust.because,
            hint: distrust.hint,
        })
    });
    untrusted.collect()
}

/// What was found of the sources, and the basis that they were compared with.
type SurveyedSources<'a> = (Vec<SourceState>, Survey, Option<(&'a Store, SnapshotId)>);

fn mark_one_unusable(
    destination: &mut DestinationState,
    id: SnapshotId,
    because: String,
    code: Option<FailureCode>,
) {
    let mut all = destination.snapshots.iter_mut();
    if let Some(snapshot) = all.find(|one| one.record.id == id) {
        snapshot.manifest_fault = Some(because);
        snapshot.manifest_fault_code = code;
    }
}
