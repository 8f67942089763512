//! Decides about the script after the backup, which runs whatever the result is.

use schema::{
    Finding,
    config::OnPreBackupFailure,
    plan::{Action, ScriptStep},
};

use super::Draft;
use crate::{facts::Facts, findings::trust::is_untrusted};

/// The script, where one is configured.
pub(crate) fn decide_post_script(facts: &Facts<'_>, _: &mut Vec<Finding>) -> Option<Draft> {
    let config = facts.config;
    let program = config.post_backup_script.clone()?;
    if is_untrusted(facts.inventory, &program) {
        return None;
    }
    Some(Draft::last(Action::PostScript(ScriptStep {
        program,
        timeout: config.post_backup_timeout.clone(),
        // Nothing is left that a failure could stop, but nobody looks at a step that "succeeded".
        on_failure: OnPreBackupFailure::Abort,
    })))
}
