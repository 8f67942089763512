//! The steps of one destination in a plan for several.
//!
//! Each named destination has a chain of its own, whose steps bear its name behind a colon. What looks at
//! one destination gets its chain as the plan that it would be alone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Action, Binding, Part, Plan, Step, Totals};
use crate::{
    config::DestinationName,
    digest::Digest,
    finding::{Finding, Severity},
};

/// What a plan says of one named destination, beside its steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// What the chain was made from.
    pub bound_to: Binding,
    /// What was noticed of this destination. A refusal or a deferral leaves no steps of it.
    pub findings: Vec<Finding>,
    /// What its steps come to.
    pub totals: Totals,
}

/// The id that a step of a destination has in a plan for several.
#[must_use]
pub fn chain_id(plain: &str, of: Option<&DestinationName>) -> String {
    match of {
        None => plain.to_owned(),
        Some(name) => format!("{plain}:{name}"),
    }
}

/// The id of a step as it is in a plan for its destination alone, and the destination's name behind it.
#[must_use]
pub fn split_id(id: &str) -> (&str, Option<&str>) {
    match id.split_once(':') {
        Some((plain, name)) => (plain, Some(name)),
        None => (id, None),
    }
}

/// The id of a step without the name of its destination.
#[must_use]
pub fn plain_id(id: &str) -> &str {
    split_id(id).0
}

impl Step {
    /// Whether it holds the run together, so that it is no destination's own.
    #[must_use]
    pub fn is_of_frame(&self) -> bool {
        self.of.is_none() && self.action.part() == Part::Coordinator
    }

    /// Its id in a plan for its destination alone.
    #[must_use]
    pub fn plain_id(&self) -> &str {
        plain_id(&self.id)
    }
}

impl Plan {
    /// Whether it is for several destinations, or for named ones alone.
    #[must_use]
    pub fn is_of_several(&self) -> bool {
        !self.chains.is_empty()
            || !self.only_of.is_empty()
            || self.steps.iter().any(|step| step.of.is_some())
    }

    /// The plan of one destination, as it would be alone: the steps that hold the run together, and its own
    /// with plain ids. `None` for a named one that is not in the plan; `local` and `cloud` share theirs.
    #[must_use]
    pub fn chain(&self, name: &DestinationName) -> Option<Self> {
        let of = (!name.is_predefined()).then_some(name);
        let own = of
            .map(|of| self.chains.get(of).ok_or(()))
            .transpose()
            .ok()?;
        if own.is_none() && !self.is_of_several() {
            return Some(self.clone());
        }
        let findings = own.map_or(&self.findings, |own| &own.findings);
        let only = self.part_of_chain(of);
        let is_own = |step: &Step| match &step.of {
            None => of.is_none() && !step.is_of_frame(),
            Some(other) => Some(other) == of,
        };
        let held = findings.iter().map(|finding| finding.severity).max();
        let held = held.filter(|severity| *severity >= Severity::Deferral);
        let has_own = self.steps.iter().any(is_own);
        let is_in = |step: &&Step| {
            is_own(step)
                || (only.is_none() && step.is_of_frame() && self.is_framed(step, held, has_own))
        };
        let steps: Vec<&Step> = self.steps.iter().filter(is_in).collect();
        let plain = |ids: &[String]| -> Vec<String> {
            let ids = ids
                .iter()
                .filter(|id| steps.iter().any(|step| step.id == **id));
            ids.map(|id| plain_id(id).to_owned()).collect()
        };
        let steps = steps.iter().map(|step| Step {
            id: step.plain_id().to_owned(),
            of: None,
            needs: plain(&step.needs),
            after: plain(&step.after),
            action: step.action.clone(),
        });
        let mut plan = Self {
            format_version: self.format_version,
            run_id: self.run_id.clone(),
            created_at: self.created_at,
            host: self.host.clone(),
            only,
            only_of: Vec::new(),
            bound_to: own.map_or(&self.bound_to, |own| &own.bound_to).clone(),
            findings: findings.clone(),
            steps: steps.collect(),
            totals: own.map_or(self.totals, |own| own.totals),
            chains: std::collections::BTreeMap::new(),
            digest: Digest([0; 32]),
        };
        plan.digest = plan.expected_digest();
        Some(plan)
    }

    /// The part whose steps alone a chain has: it was asked for without the frame, or is the rest of a base
    /// that was served before.
    fn part_of_chain(&self, of: Option<&DestinationName>) -> Option<Part> {
        if self.only_of.is_empty() {
            return self.only;
        }
        if of.is_some() {
            let framed = self.steps.iter().any(Step::is_of_frame);
            let mut own = self.steps.iter().filter(|step| step.of.as_ref() == of);
            let part = own.next().map_or(Part::Local, |step| step.action.part());
            return (!framed && !self.steps.is_empty()).then_some(part);
        }
        let has = |name: &str| self.only_of.iter().any(|one| one.as_str() == name);
        let part = match (has(DestinationName::LOCAL), has(DestinationName::CLOUD)) {
            (true, false) => Part::Local,
            (false, true) => Part::Cloud,
            _ => return None,
        };
        let in_frame = |id: &String| {
            let mut frame = self.steps.iter().filter(|step| step.is_of_frame());
            frame.any(|step| step.id == *id)
        };
        let mut own = self.steps.iter();
        let mut own = own
            .by_ref()
            .filter(|step| step.of.is_none() && !step.is_of_frame());
        let waits = own.any(|step| step.needs.iter().chain(&step.after).any(in_frame));
        (!waits).then_some(part)
    }

    /// Whether a step of the frame would be in the plan of a chain alone that is `held` up: a refusal leaves
    /// what tells of it, a deferral nothing, and what ran before it was found is there.
    fn is_framed(&self, step: &Step, held: Option<Severity>, has_own: bool) -> bool {
        let in_two = self.is_made_in_two();
        match (held, &step.action) {
            (None, _) => true,
            (Some(Severity::Deferral), _) if has_own => true,
            (Some(_), Action::PreScript(_) | Action::PlanAgain) => in_two,
            (Some(Severity::Deferral), Action::PostScript(_)) => in_two,
            (Some(Severity::Deferral), _) => false,
            (Some(_), action) => matches!(action, Action::PostScript(_) | Action::Notify(_)),
        }
    }

    /// The gravest severity among the findings about one destination; those of the run count as the base's,
    /// of `local` and `cloud`.
    #[must_use]
    pub fn gravest_of(&self, name: &DestinationName) -> Option<Severity> {
        match self.chains.get(name) {
            Some(chain) => chain.findings.iter().map(|one| one.severity).max(),
            None if name.is_predefined() => self.severity(),
            None => None,
        }
    }

    /// Whether anything is backed up though it may be held up for other destinations.
    #[must_use]
    pub fn serves_any(&self) -> bool {
        self.taking_part().into_iter().any(|of| {
            let gravest = match of {
                Some(name) => self.gravest_of(&name),
                None => self.severity(),
            };
            gravest < Some(Severity::Deferral)
        })
    }

    /// The names of the destinations that the plan has steps or findings for, in the order of their steps;
    /// `None` is the base, of `local` and `cloud`.
    #[must_use]
    pub fn taking_part(&self) -> Vec<Option<DestinationName>> {
        let mut names = Vec::new();
        let has_base = |step: &Step| step.of.is_none() && !step.is_of_frame();
        if self.chains.is_empty()
            || self.steps.iter().any(has_base)
            || self.severity() >= Some(Severity::Deferral)
        {
            names.push(None);
        }
        let in_steps = self.steps.iter().filter_map(|step| step.of.as_ref());
        for name in in_steps.chain(self.chains.keys()) {
            if !names.contains(&Some(name.clone())) {
                names.push(Some(name.clone()));
            }
        }
        names
    }

    /// All findings: of the run and its base, and of each chain.
    pub fn all_findings(&self) -> impl Iterator<Item = (Option<&DestinationName>, &Finding)> {
        let base = self.findings.iter().map(|finding| (None, finding));
        let chains = self.chains.iter().flat_map(|(name, chain)| {
            let of_chain = chain.findings.iter();
            of_chain.map(move |finding| (Some(name), finding))
        });
        base.chain(chains)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn name(text: &str) -> DestinationName {
        text.parse().unwrap()
    }

    fn plan() -> Plan {
        let bound = |id: &str| {
            json!({"config": "00".repeat(32), "destination": "00".repeat(32), "destination_id": id,
                "snapshots": []})
        };
        let step = |id: &str, needs: &[&str], after: &[&str], of: Option<&str>| {
            let kind = plain_id(id);
            let action = match kind {
                "pre-script" => {
                    json!({"kind": kind, "program": "/x", "timeout": "1h", "on_failure": "abort"})
                }
                "notify" => {
                    json!({"kind": kind, "on_success": true, "on_failure": true, "channels": []})
                }
                _ => json!({"kind": "mark", "say": "pin", "id": "2025-01-01_00-00-00"}),
            };
            let mut step = json!({"id": id, "needs": needs, "after": after, "action": action});
            if let Some(of) = of {
                step["of"] = json!(of);
            }
            step
        };
        let finding = |severity: &str| json!({"severity": severity, "code": "x", "message": "m", "hint": null, "path": null});
        let totals = |deletions: u64| {
            json!({"copy_files": 0, "copy_bytes": 0, "link_files": 0, "deletions": deletions,
                "freed_bytes": 0, "kept": 0})
        };
        let mut plan: Plan = serde_json::from_value(json!({
            "format_version": 1, "run_id": "r", "created_at": "2025-01-01T00:00:00Z", "host": "h",
            "bound_to": bound("one"), "findings": [finding("note")],
            "steps": [
                step("pre-script", &[], &[], None),
                step("mark", &["pre-script"], &[], None),
                step("mark:usb", &["pre-script"], &["mark"], Some("usb")),
                step("mark-2:usb", &["mark:usb"], &[], Some("usb")),
                step("notify", &[], &["pre-script", "mark", "mark:usb", "mark-2:usb"], None),
            ],
            "totals": totals(0),
            "chains": {
                "nas": {"bound_to": bound("three"), "findings": [finding("refusal")], "totals": totals(0)},
                "usb": {"bound_to": bound("two"), "findings": [finding("warning")], "totals": totals(7)},
            },
            "digest": "00".repeat(32),
        }))
        .unwrap();
        plan.digest = plan.expected_digest();
        plan
    }

    #[test]
    fn a_chain_is_the_plan_of_its_destination_alone() {
        let chain = plan().chain(&name("usb")).unwrap();
        let ids: Vec<&str> = chain.steps.iter().map(|step| step.id.as_str()).collect();
        assert_eq!(ids, ["pre-script", "mark", "mark-2", "notify"]);
        assert_eq!(chain.steps[1].needs, ["pre-script"]);
        assert!(chain.steps[1].after.is_empty());
        assert_eq!(chain.steps[2].needs, ["mark"]);
        assert_eq!(chain.steps[3].after, ["pre-script", "mark", "mark-2"]);
        assert!(chain.steps.iter().all(|step| step.of.is_none()));
        assert_eq!(chain.bound_to.destination_id.as_deref(), Some("two"));
        assert_eq!(chain.totals.deletions, 7);
        assert_eq!(chain.severity(), Some(Severity::Warning));
        assert_eq!(chain.digest, chain.expected_digest());
        let base = plan()
            .chain(&DestinationName::new(DestinationName::LOCAL))
            .unwrap();
        let ids: Vec<&str> = base.steps.iter().map(|step| step.id.as_str()).collect();
        assert_eq!(ids, ["pre-script", "mark", "notify"]);
        assert_eq!(base.bound_to.destination_id.as_deref(), Some("one"));
        assert!(plan().chain(&name("b2")).is_none());
    }

    #[test]
    fn each_chain_has_a_severity_of_its_own() {
        let plan = plan();
        assert_eq!(plan.severity(), Some(Severity::Note));
        assert_eq!(
            plan.gravest_of(&DestinationName::new(DestinationName::CLOUD)),
            Some(Severity::Note)
        );
        assert_eq!(plan.gravest_of(&name("nas")), Some(Severity::Refusal));
        assert_eq!(plan.gravest_of(&name("b2")), None);
        let taking_part = plan.taking_part();
        assert_eq!(taking_part, [None, Some(name("usb")), Some(name("nas"))]);
    }

    #[test]
    fn a_plan_without_chains_is_written_as_ever() {
        let mut plan = plan();
        plan.chains.clear();
        plan.steps.retain(|step| step.of.is_none());
        let json = serde_json::to_value(&plan).unwrap();
        assert!(json.get("chains").is_none() && json.get("only_of").is_none());
        assert!(json["steps"][0].get("of").is_none());
        assert_eq!(
            plan.chain(&DestinationName::new(DestinationName::LOCAL))
                .unwrap(),
            plan
        );
    }
}
