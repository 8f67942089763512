//! One file per kind of step: what it is to do, decided from the facts.
//!
//! Owns the payload of each step and what it waits for. Which kinds there are, and in which order,
//! is the pipeline's list; whether anything may run at all is decided by the findings.

pub(crate) mod cloud_sync;
pub(crate) mod destination_check;
pub(crate) mod expiry;
mod layout;
pub(crate) mod notify;
pub(crate) mod post_script;
pub(crate) mod pre_script;
pub(crate) mod remote_expiry;
pub(crate) mod room;
pub(crate) mod rotate;
mod rsync;
pub(crate) mod snapshot;
pub(crate) mod space_check;
pub(crate) mod upload;

use schema::{Finding, plan::Action};

use crate::facts::Facts;

/// Decides about one kind of step: none where the config does not ask for it.
pub(crate) type Decide = fn(&Facts<'_>, &mut Vec<Finding>) -> Option<Draft>;

/// A step before the pipeline gives it its place.
pub(crate) struct Draft {
    /// What it does.
    pub(crate) action: Action,
    /// Kinds that must have succeeded, as far as they are in the plan.
    pub(crate) needs: &'static [&'static str],
    /// What must have ended, well or not.
    pub(crate) after: After,
}

/// What a step waits for without needing it.
pub(crate) enum After {
    /// These kinds, as far as they are in the plan.
    Kinds(&'static [&'static str]),
    /// All steps before it.
    All,
}

impl Draft {
    /// A step that runs when these kinds have succeeded.
    pub(crate) fn needing(needs: &'static [&'static str], action: Action) -> Self {
        Self {
            action,
            needs,
            after: After::Kinds(&[]),
        }
    }

    /// A step that runs when these kinds have ended.
    pub(crate) fn after(kinds: &'static [&'static str], action: Action) -> Self {
        Self {
            action,
            needs: &[],
            after: After::Kinds(kinds),
        }
    }

    /// A step that runs when all before it have ended.
    pub(crate) fn last(action: Action) -> Self {
        Self {
            action,
            needs: &[],
            after: After::All,
        }
    }
}
