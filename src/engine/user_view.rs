//! The read-only view of the snapshots for users, apart from any run.

use executor::{
    Error,
    error::Result,
    event::{Context, Stop},
    view,
};

use super::Engine;

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
        let local = &self.config.local;
        let mount_point = local.mount_point.as_str().trim_end_matches('/');
        let folder = format!("{mount_point}/{}", self.host_folder());
        let found = view::look_at_view(&folder, None);
        let is_wanted = local.enable && local.readable_by_users && !remove;
        if let Some(because) = &found.impossible
            && (is_wanted || found.is_there)
        {
            return Err(Error::refused(format!(
                "what users see of the snapshots cannot be changed: {because}"
            ))
            .hint("sudo backup view"));
        }
        if !is_wanted {
            view::remove_view(&folder)?;
            return Ok(UserViewChange::Removed(found.path));
        }
        let stop = Stop::default();
        let store = match self.look_at_destination(Context::silent(&stop)) {
            Ok(destination) if destination.record.is_some() => self.open_store()?,
            _ => None,
        };
        let Some(store) = store else {
            // What was mounted there may be gone, and would keep the drive busy.
            view::remove_view(&folder)?;
            let because = format!("{folder} is not there, or not set up");
            return Ok(UserViewChange::NothingToShow(because));
        };
        view::make_view(&store)?;
        Ok(UserViewChange::Shown(found.path))
    }
}
