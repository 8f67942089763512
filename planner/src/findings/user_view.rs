//! Whether users can read the snapshots where they are to: through a read-only view, or not at all.

use schema::{Finding, config::Local, inventory::DestinationState};

use super::{
    code,
    finding::{note, warning},
};

/// What a run does for users, or cannot do.
pub(crate) fn before_run(local: &Local, destination: &DestinationState) -> Option<Finding> {
    let view = destination.user_view.as_ref()?;
    if !local.readable_by_users {
        // Nobody who runs this can take it away here; what it shows is read-only all the same.
        let stays = view.is_there && !view.can_be_taken_away();
        return stays.then(|| left_over(&view.path));
    }
    if let Some(because) = &view.impossible
        && !view.is_complete
    {
        return Some(impossible(because));
    }
    (view.by_unit && !view.is_complete).then(|| {
        note(
            code::USERS_CANNOT_READ,
            format!(
                "users read the snapshots (local.readableByUsers) at {}, read-only, once the unit of \
                 this run has ended",
                view.path
            ),
        )
    })
}

/// That users cannot read what they are to, which a health check finds.
pub(crate) fn of_health(local: &Local, destination: &DestinationState) -> Option<Finding> {
    let view = destination.user_view.as_ref()?;
    if !local.readable_by_users {
        return view.is_there.then(|| left_over(&view.path));
    }
    if view.is_complete || destination.record.is_none() {
        return None;
    }
    let missing = format!(
        "users cannot read the snapshots (local.readableByUsers): the read-only view {} is not there",
        view.path
    );
    Some(
        warning(code::USERS_CANNOT_READ, missing)
            .hint("make it with `sudo backup view`; each run makes it as well"),
    )
}

/// That users see what is not there any more: whoever unmounts a drive by hand does not end the view.
pub(crate) fn of_absence(destination: &DestinationState) -> Option<Finding> {
    let view = destination
        .user_view
        .as_ref()
        .filter(|view| view.is_there)?;
    let path = &view.path;
    let held = format!(
        "what users saw of the snapshots, {path}, is there though the destination is not, and may keep the \
         drive in use"
    );
    let end = "the next run by root takes it away; before a drive is detached do so with \
               `sudo backup view --remove`";
    Some(note(code::USER_VIEW_LEFT, held).hint(end))
}

fn left_over(path: &str) -> Finding {
    note(
        code::USER_VIEW_LEFT,
        format!("users still read the snapshots at {path}, though local.readableByUsers is off"),
    )
    .hint("take it away with `sudo backup view`")
}

fn impossible(because: &str) -> Finding {
    warning(
        code::USERS_CANNOT_READ,
        format!(
            "users cannot read the snapshots (local.readableByUsers): what they see must be mounted \
             read-only, and {because}"
        ),
    )
    .hint("set local.readableByUsers to false, or run the backup as root")
}
