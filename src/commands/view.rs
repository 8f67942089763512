//! `view`: shows the snapshots to users, or takes that away.

use anyhow::Result;
use backup::engine::UserViewChange;

use crate::{
    cli::View, commands::outcome, exit, out::Out, render::messages::done_lines, settings::Settings,
};

/// Makes the view that the configuration asks for, or takes it away; says which.
pub(crate) fn update_view(arguments: &View, settings: &Settings, out: &Out) -> Result<u8> {
    let engine = settings.open_engine(out)?;
    if arguments.dry_run {
        let change = engine.foretell_user_view(arguments.remove)?;
        outcome::show_dry_run(&[line_of(&change)], out);
    } else {
        let change = engine.update_user_view(arguments.remove)?;
        out.print_unless_quiet(&done_lines(&line_of(&change)));
    }
    Ok(exit::DONE)
}

fn line_of(change: &UserViewChange) -> String {
    match change {
        UserViewChange::Shown(path) => format!("users read the snapshots at {path}"),
        UserViewChange::Removed(path) => {
            format!("users no longer see the snapshots: there is nothing at {path}")
        }
        UserViewChange::NothingToShow(because) => format!("nothing to show to users: {because}"),
    }
}
