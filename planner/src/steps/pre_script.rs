//! Decides about the script before the backup.
//!
//! What its failure means for the rest is told by the first step after it.

use schema::{
    Finding,
    plan::{Action, ScriptStep},
};

use super::Draft;
use crate::facts::Facts;

/// The script, where one is configured and there is something to run it for.
pub(crate) fn decide_pre_script(facts: &Facts<'_>, _: &mut Vec<Finding>) -> Option<Draft> {
    let config = facts.config;
    let program = config.pre_backup_script.clone()?;
    (config.local.enable || config.cloud.enable).then(|| {
        Draft::needing(
            &[],
            Action::PreScript(ScriptStep {
                program,
                timeout: config.pre_backup_timeout.clone(),
                on_failure: config.on_pre_backup_failure,
            }),
        )
    })
}
