//! The read-only view of the snapshots for users, apart from any run.

use executor::{
    Error,
    error::Result,
    event::{Context, Stop},
    store::Store,
    view,
};

use schema::{Inventory, inventory::DestinationState};

use super::{Engine, destination::RecordReading, operation::Operation};

/// What became of the view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserViewChange {
    /// It is at this path, and shows what is stored.
    Shown(String),
    /// There is none any more at this path.
    Removed(String),
    /// There is nothing to show, for this reason; a view that was there is gone.
    NothingToShow(String),
}

impl Engine {
    /// Makes the view as `local.readableByUsers` says, or takes it away where that is off or `remove` is
    /// asked for. Nothing else is changed, and no run needs it.
    ///
    /// # Errors
    /// Fails if the view cannot be made or taken away, which only root can do.
    pub fn update_user_view(&self, remove: bool) -> Result<UserViewChange> {
        let (change, store) = self.decide_user_view(remove)?;
        match &store {
            Some(store) => view::make_view(store)?,
            // Also what was mounted there and is gone, which would keep the drive busy.
            None => view::remove_view(&self.stored_folder())?,
        }
        Ok(change)
    }

    /// What [`Self::update_user_view`] would do. Writes nothing.
    ///
    /// # Errors
    /// Refused as it would be.
    pub fn foretell_user_view(&self, remove: bool) -> Result<UserViewChange> {
        self.decide_user_view(remove).map(|(change, _)| change)
    }

    /// What becomes of the view, with the destination that it is to show.
    fn decide_user_view(&self, remove: bool) -> Result<(UserViewChange, Option<Store>)> {
        self.refuse_remote()?;
        let local = &self.config.local;
        let folder = self.stored_folder();
        let found = view::look_at_view(&folder, None);
        let is_wanted = local.enable && local.readable_by_users && !remove;
        if let Some(because) = &found.impossible
            && (is_wanted || found.is_there)
        {
            let of = self.of.as_ref();
            let of = of.map_or_else(String::new, |name| format!(" --destination {name}"));
            let command = match remove {
                true => format!("`sudo backup view{of} --remove`"),
                false => format!("`sudo backup view{of}`"),
            };
            return Err(Error::refused(format!(
                "what users see of the snapshots cannot be changed: {because}"
            ))
            .hint(command));
        }
        if !is_wanted {
            return Ok((UserViewChange::Removed(found.path), None));
        }
        let stop = Stop::default();
        let store = match self.look_at_destination(RecordReading::Changed, Context::silent(&stop)) {
            Ok(destination) if destination.record.is_some() => self.open_store()?,
            _ => None,
        };
        let Some(store) = store else {
            let because = format!("{folder} is not there, or not set up");
            return Ok((UserViewChange::NothingToShow(because), None));
        };
        Ok((UserViewChange::Shown(found.path), Some(store)))
    }

    /// Where the host's folder stands on the destination.
    pub(super) fn stored_folder(&self) -> String {
        let mount_point = self.config.local.mount_point.as_str();
        format!(
            "{}/{}",
            mount_point.trim_end_matches('/'),
            self.host_folder()
        )
    }
}

impl Operation<'_> {
    /// Takes the views away of destinations that are away.
    pub(super) fn release_views(&self, inventory: &Inventory) {
        let base = self.engine.base();
        if let Some(destination) = &inventory.destination {
            self.in_view(&base).release_view(destination);
        }
        for (name, other) in &inventory.others {
            let view = self.engine.view_of(Some(name));
            if let (Ok(view), Some(destination)) = (view, &other.destination) {
                self.in_view(&view).release_view(destination);
            }
        }
    }

    /// Takes the view away where the destination that it shows is away: it would keep the file system of
    /// a drive in use that was unmounted. What cannot be taken away is told by what is found of it.
    pub(super) fn release_view(&self, destination: &DestinationState) {
        let view = destination.user_view.as_ref();
        let can_be = view.is_some_and(schema::inventory::UserView::can_be_taken_away);
        let absence = planner::destination_absence(&self.engine.config, destination);
        if can_be && absence.is_some() {
            let _ = view::remove_view(&self.engine.stored_folder());
        }
    }
}
