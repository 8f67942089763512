//! Makes sure that the right destination is there.

use schema::{
    journal::{Outcome, Status},
    plan::{DestinationCheckStep, TakeOver},
};

use crate::{destination, error::Result, state_dir::StateDir, store::Store, view};

/// Remembers the destination that was checked, and looks again at what it can hold.
///
/// # Errors
/// Fails if the state directory cannot be written.
pub(crate) fn remember_and_inspect(
    state: &StateDir,
    store: &Store,
    step: &DestinationCheckStep,
) -> Result<Outcome> {
    if step.remember {
        state.remember_destination(&step.destination_id)?;
    }
    let message = describe_check(&store.path, step);
    let changed = if step.create || step.read_only {
        None
    } else {
        destination::inspect_again(store)
    };
    let is_less = changed.as_ref().is_some_and(|changed| changed.is_less);
    let message = match changed {
        Some(changed) => format!("{message}: {}", changed.words),
        None => message,
    };
    let well = |message: String| Outcome {
        hint: is_less.then(|| "`backup plan` says what that means".to_owned()),
        ..Outcome::success(message)
    };
    Ok(match update_view(store, step) {
        Ok(None) => well(message),
        Ok(Some(view)) => well(format!("{message}; {view}")),
        // The snapshots are what matters: the run goes on.
        Err(error) => Outcome {
            message: format!("{message}; {}", error.message),
            ..error.into_outcome(Status::Incomplete)
        },
    })
}

/// What [`remember_and_inspect`] says where nothing fails and the destination holds what it held before.
/// Writes nothing.
pub(crate) fn foretell_check(step: &DestinationCheckStep) -> String {
    let mount_point = step.mount_point.as_str().trim_end_matches('/');
    let path = format!("{mount_point}/{}", step.folder);
    let message = describe_check(&path, step);
    match decide_view(&path, step).words() {
        Some(view) => format!("{message}; {view}"),
        None => message,
    }
}

/// What is done to the destination at this path.
fn describe_check(path: &str, step: &DestinationCheckStep) -> String {
    match &step.take_over {
        _ if step.create => format!("set up {path}"),
        Some(TakeOver { folder: Some(old) }) => {
            format!("{path} is there: what was {old} beside it goes on under this name")
        }
        Some(TakeOver { folder: None }) => {
            format!("{path} is there: what another machine left goes on as this one's")
        }
        None => format!("{path} is there"),
    }
}

/// What becomes of the view of the snapshots for users.
enum ViewChange<'a> {
    /// It is made, at this path.
    Make(&'a str),
    /// They are not to have one any more.
    TakeAway,
    /// None.
    None,
}

impl ViewChange<'_> {
    fn words(&self) -> Option<String> {
        match self {
            Self::Make(path) => Some(format!("users read it at {path}")),
            Self::TakeAway => Some("users no longer read it".to_owned()),
            Self::None => None,
        }
    }
}

fn decide_view<'a>(path: &str, step: &'a DestinationCheckStep) -> ViewChange<'a> {
    if step.read_only {
        return ViewChange::None;
    }
    if let Some(path) = &step.user_view {
        return ViewChange::Make(path);
    }
    if step.readable_by_users || !view::look_at_view(path, None).can_be_taken_away() {
        return ViewChange::None;
    }
    ViewChange::TakeAway
}

/// Makes the view of the snapshots for users, or takes it away where they are not to have one any more;
/// says so.
fn update_view(store: &Store, step: &DestinationCheckStep) -> Result<Option<String>> {
    let change = decide_view(&store.path, step);
    match change {
        ViewChange::Make(_) => view::make_view(store)?,
        ViewChange::TakeAway => view::remove_view(&store.path)?,
        ViewChange::None => {}
    }
    Ok(change.words())
}
