//! Decides about the script before the backup.
//!
//! What its failure means for the rest is told by the first step after it.

use schema::{
    Finding,
    config::OnPreBackupFailure,
    plan::{Action, PRE_SCRIPT, ScriptStep},
};

use super::Draft;
use crate::facts::Facts;

/// That the rest is planned once the script has run, where the destination may be there only then; and in
/// the plan of that rest that it was.
pub(crate) fn decide_planning(facts: &Facts<'_>, _: &mut Vec<Finding>) -> Option<Draft> {
    let after = facts.options.after_pre_script && facts.config.pre_backup_script.is_some();
    if !after && !facts.waits_for_script() {
        return None;
    }
    Some(match facts.config.on_pre_backup_failure {
        OnPreBackupFailure::Abort => Draft::needing(&[PRE_SCRIPT], Action::PlanAgain),
        OnPreBackupFailure::Warn => Draft::after(&[PRE_SCRIPT], Action::PlanAgain),
    })
}

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

#[cfg(test)]
mod tests {
    use schema::{Config, Plan, Severity};
    use serde_json::json;

    use crate::{
        Options, continue_plan, lint,
        test_support::{destination, inventory, snapshot},
    };

    fn config(if_absent: &str) -> Config {
        serde_json::from_value(json!({
            "local": {
                "enable": true, "useRsync": false, "sources": ["/home"], "ifAbsent": if_absent,
            },
            "preBackupScript": "/bin/pre",
            "postBackupScript": "/bin/post",
            "notifications": {"enable": true, "desktop": false, "command": "/bin/tell"},
        }))
        .unwrap()
    }

    fn planned(config: &Config, is_mounted: bool, after_pre_script: bool) -> Plan {
        let found = destination(is_mounted, &json!([snapshot("2025-01-15", false)]));
        let inventory = inventory(&found, "2025-01-16T02:00:00Z");
        let options = Options {
            after_pre_script,
            ..Options::default()
        };
        let plan = crate::plan(config, &inventory, &options);
        assert_eq!(lint::check(&plan, &inventory), []);
        plan
    }

    fn kinds(plan: &Plan) -> Vec<&str> {
        plan.steps.iter().map(|step| step.id.as_str()).collect()
    }

    const BEGINNING: [&str; 4] = ["pre-script", "plan-again", "post-script", "notify"];

    #[test]
    fn where_the_destination_is_away_the_script_runs_and_the_rest_is_planned_then() {
        for if_absent in ["fail", "defer"] {
            let plan = planned(&config(if_absent), false, false);
            assert_eq!(kinds(&plan), BEGINNING);
            assert_eq!(plan.severity(), Some(Severity::Note));
        }
        let there = planned(&config("fail"), true, false);
        assert!(!there.is_made_in_two());
        let rest = planned(&config("fail"), true, true);
        assert_eq!(
            kinds(&rest)[..3],
            ["pre-script", "plan-again", "destination-check"]
        );
        assert_eq!(rest.steps.len(), there.steps.len() + 1);
    }

    #[test]
    fn what_is_still_away_after_the_script_is_refused_or_deferred_with_the_script_after_it() {
        let refused = planned(&config("fail"), false, true);
        assert_eq!(kinds(&refused), BEGINNING);
        assert_eq!(refused.severity(), Some(Severity::Refusal));
        let deferred = planned(&config("defer"), false, true);
        assert_eq!(kinds(&deferred), BEGINNING[..3]);
        assert_eq!(deferred.severity(), Some(Severity::Deferral));

        let begun = planned(&config("fail"), false, false);
        let rest = continue_plan(refused, &begun, true);
        assert_eq!(rest.run_id, begun.run_id);
        assert_eq!(rest.digest, rest.expected_digest());
        assert_eq!(kinds(&rest), BEGINNING[..3], "nobody is told again");
    }
}
