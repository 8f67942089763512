//! `view`: shows the snapshots to users, or takes that away.

use anyhow::Result;
use backup::engine::UserViewChange;

use crate::{cli::View, exit, out::Out, settings::Settings};

/// Makes the view that the configuration asks for, or takes it away; says which.
pub(crate) fn update_view(arguments: &View, settings: &Settings, out: &Out) -> Result<u8> {
    let engine = settings.open_engine(out)?;
    match engine.update_user_view(arguments.remove)? {
        UserViewChange::Shown(path) => {
            out.print_unless_quiet(&format!("users read the snapshots at {path}"));
        }
        UserViewChange::Removed(path) => out.print_unless_quiet(&format!(
            "users no longer see the snapshots: there is nothing at {path}"
        )),
        UserViewChange::NothingToShow(because) => {
            out.print_unless_quiet(&format!("nothing to show to users: {because}"));
        }
    }
    Ok(exit::DONE)
}
