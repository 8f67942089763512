//! What a run for several destinations came to, for each of them and as a whole.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Report, RunResult, Sealed, Status, StepReport};
use crate::{
    config::DestinationName,
    finding::{Finding, Severity},
    plan::{
        Part,
        chain::{plain_id, split_id},
        copies_away, only_tells,
    },
};

/// What a run came to for one destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChainReport {
    /// How it ended.
    pub result: RunResult,
    /// The snapshot that was sealed there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Sealed>,
    /// What the plan had noticed of it; for `local` and `cloud` that is among the report's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

impl RunResult {
    /// How a run ended by what its plan had noticed and the worst end of its steps.
    #[must_use]
    pub fn of_steps(severity: Option<Severity>, worst: Option<Status>) -> Self {
        if severity == Some(Severity::Refusal) {
            return Self::Refused;
        }
        match worst {
            Some(Status::Failed) => Self::Failed,
            Some(Status::Refused) => Self::Refused,
            // What could be done without what is waited for is done.
            _ if severity == Some(Severity::Deferral) => Self::Deferred,
            Some(Status::Deferred) => Self::Deferred,
            Some(Status::Incomplete) => Self::Incomplete,
            Some(Status::Skipped | Status::Succeeded) | None => match severity {
                Some(Severity::Warning) => Self::Incomplete,
                _ => Self::Success,
            },
        }
    }

    /// How a run for several ended: a failure counts most; a refused destination beside one that was served
    /// makes it incomplete, because something changed; nothing is a success while something is held back.
    #[must_use]
    pub fn of_all(results: &[Self]) -> Self {
        let has = |one: Self| results.contains(&one);
        let served = has(Self::Success) || has(Self::Incomplete);
        match () {
            () if has(Self::Interrupted) => Self::Interrupted,
            () if has(Self::Failed) => Self::Failed,
            () if has(Self::Refused) && !served => Self::Refused,
            () if has(Self::Refused) => Self::Incomplete,
            () if has(Self::Deferred) => Self::Deferred,
            () if has(Self::Incomplete) => Self::Incomplete,
            () => Self::Success,
        }
    }
}

/// Whether a step holds the run together, so that it is nobody's own. Named by its id, because reports have
/// no more of it.
fn is_frame(step: &StepReport) -> bool {
    const FRAME: [&str; 5] = [
        "announce",
        "pre-script",
        "plan-again",
        "post-script",
        "notify",
    ];
    FRAME.contains(&step.step.as_str())
}

/// Whether a step is of the cloud's part; by its id as well.
fn part_of(step: &StepReport) -> Part {
    match copies_away(plain_id(&step.step)) {
        true => Part::Cloud,
        false => Part::Local,
    }
}

impl Report {
    /// Whether it is of a run for several destinations.
    #[must_use]
    pub fn is_of_several(&self) -> bool {
        !self.destinations.is_empty()
    }

    /// All findings: of the run with its base, and of each named destination.
    pub fn all_findings(&self) -> impl Iterator<Item = (Option<&DestinationName>, &Finding)> {
        let of_run = self.findings.iter().map(|finding| (None, finding));
        let others = self.destinations.iter().flat_map(|(name, chain)| {
            let findings = chain.findings.iter();
            findings.map(move |finding| (Some(name), finding))
        });
        of_run.chain(others)
    }

    /// The snapshots that the run sealed, each with the name of its destination where there are several.
    pub fn all_sealed(&self) -> impl Iterator<Item = (Option<&DestinationName>, &Sealed)> {
        let only = (!self.is_of_several()).then_some(self.snapshot.as_ref());
        let all = self.destinations.iter();
        let all = all.filter_map(|(name, chain)| Some((Some(name), chain.snapshot.as_ref()?)));
        only.flatten()
            .map(|sealed| (None, sealed))
            .into_iter()
            .chain(all)
    }

    /// How the run ended for the destinations that it did not defer; as a whole where it deferred none, or all.
    #[must_use]
    pub fn result_of_served(&self) -> RunResult {
        let results = self.destinations.values().map(|one| one.result);
        let served: Vec<RunResult> = results.filter(|one| *one != RunResult::Deferred).collect();
        match self.result {
            RunResult::Deferred if !served.is_empty() => RunResult::of_all(&served),
            result => result,
        }
    }

    /// The report with nothing of other destinations than this one, by their own names still; `None` is the base,
    /// of `local` and `cloud`. As it is where it is of one.
    #[must_use]
    pub fn of_one(&self, of: Option<&DestinationName>) -> Self {
        let mut report = self.clone();
        if !self.is_of_several() {
            return report;
        }
        report.destinations.retain(|name, _| match of {
            None => name.is_predefined(),
            Some(of) => name == of,
        });
        report.steps.retain(|step| {
            is_frame(step) || split_id(&step.step).1 == of.map(DestinationName::as_str)
        });
        if of.is_some() {
            report.snapshot = None;
            if self.destinations.keys().any(DestinationName::is_predefined) {
                report.findings.clear();
            }
        }
        let results: Vec<RunResult> = report.destinations.values().map(|one| one.result).collect();
        report.result = RunResult::of_all(&results);
        report
    }

    /// The snapshot that was sealed at a named destination, or at `local`.
    #[must_use]
    pub fn sealed_of(&self, name: Option<&DestinationName>) -> Option<&Sealed> {
        match name {
            None => self.snapshot.as_ref(),
            Some(name) => {
                let of = |step: &&StepReport| split_id(&step.step).1 == Some(name.as_str());
                let mut own = self.steps.iter().rev().filter(of);
                own.find_map(|step| step.outcome.sealed.as_ref())
            }
        }
    }

    /// The report as it would be of a run for one destination alone; `None` if it was not among those of the
    /// run. `local` and `cloud` share theirs.
    #[must_use]
    pub fn chain(&self, name: &DestinationName) -> Option<Self> {
        if !self.is_of_several() {
            return name.is_predefined().then(|| self.clone());
        }
        let base = [
            DestinationName::new(DestinationName::LOCAL),
            DestinationName::new(DestinationName::CLOUD),
        ];
        let of: &[DestinationName] = match name.is_predefined() {
            true => &base,
            false => std::slice::from_ref(name),
        };
        let own: Vec<&ChainReport> = of
            .iter()
            .filter_map(|name| self.destinations.get(name))
            .collect();
        let first = own.first()?;
        let is_in = |step: &&StepReport| match split_id(&step.step).1 {
            None => name.is_predefined() || is_frame(step),
            Some(of) => of == name.as_str(),
        };
        let steps = self.steps.iter().filter(is_in).map(|step| StepReport {
            step: plain_id(&step.step).to_owned(),
            ..step.clone()
        });
        let frame = RunResult::of_steps(None, self.worst(is_frame));
        let results: Vec<RunResult> = own.iter().map(|one| one.result).chain([frame]).collect();
        let has = |name: &str| self.only_of.iter().any(|one| one.as_str() == name);
        let only = match (has(DestinationName::LOCAL), has(DestinationName::CLOUD)) {
            _ if self.only_of.is_empty() => self.only,
            _ if !name.is_predefined() => {
                let mut own = self
                    .steps
                    .iter()
                    .filter(|step| is_in(step) && !is_frame(step));
                own.next().map(part_of).or(Some(Part::Local))
            }
            (true, false) => Some(Part::Local),
            (false, true) => Some(Part::Cloud),
            _ => None,
        };
        Some(Self {
            format_version: self.format_version,
            run_id: self.run_id.clone(),
            host: self.host.clone(),
            started_at: self.started_at,
            ended_at: self.ended_at,
            result: match self.result {
                RunResult::Interrupted => RunResult::Interrupted,
                _ => worst_of(&results),
            },
            only,
            only_of: Vec::new(),
            snapshot: match name.is_predefined() {
                true => self.snapshot.clone(),
                false => first.snapshot.clone(),
            },
            findings: match name.is_predefined() {
                true => self.findings.clone(),
                false => first.findings.clone(),
            },
            steps: steps.collect(),
            destinations: BTreeMap::new(),
        })
    }

    /// Says of each destination how it ended, and of the whole. `taking_part` are the destinations of the
    /// run, each with what was noticed of it; `None` is the base, of `local` and `cloud`.
    pub fn conclude(&mut self, taking_part: &[(Option<DestinationName>, Vec<Finding>)]) {
        let gravest = |findings: &[Finding]| findings.iter().map(|one| one.severity).max();
        let of_run = gravest(&self.findings);
        let frame = RunResult::of_steps(None, self.worst(is_frame));
        let mut all = BTreeMap::new();
        for (name, findings) in taking_part {
            let Some(name) = name else {
                let has = |part: Part| {
                    let mut own = self.steps.iter().filter(|step| is_base(step));
                    own.any(|step| part_of(step) == part)
                };
                let parts: Vec<Part> = [Part::Local, Part::Cloud]
                    .into_iter()
                    .filter(|part| has(*part))
                    .collect();
                // Refused or deferred as a whole.
                let parts = if parts.is_empty() {
                    vec![Part::Local]
                } else {
                    parts
                };
                for part in parts {
                    let (name, snapshot) = match part {
                        Part::Cloud => (DestinationName::new(DestinationName::CLOUD), None),
                        _ => (
                            DestinationName::new(DestinationName::LOCAL),
                            self.snapshot.clone(),
                        ),
                    };
                    let is_own = |step: &StepReport| is_base(step) && part_of(step) == part;
                    let result = self.result_of(of_run, is_own, frame);
                    let findings = Vec::new();
                    all.insert(
                        name,
                        ChainReport {
                            result,
                            snapshot,
                            findings,
                        },
                    );
                }
                continue;
            };
            let is_own = |step: &StepReport| split_id(&step.step).1 == Some(name.as_str());
            // What holds up the whole run is said once, and not of each.
            let held_up = of_run.filter(|one| *one >= Severity::Deferral);
            let own = gravest(findings);
            let severity = match self.steps.iter().any(is_own) || own >= Some(Severity::Deferral) {
                true => own,
                false => own.max(held_up),
            };
            let chain = ChainReport {
                result: self.result_of(severity, is_own, frame),
                snapshot: self.sealed_of(Some(name)).cloned(),
                // What is of the machine is told once.
                findings: findings
                    .iter()
                    .filter(|one| {
                        one.severity >= Severity::Deferral || !self.findings.contains(one)
                    })
                    .cloned()
                    .collect(),
            };
            all.insert(name.clone(), chain);
        }
        let has_base = taking_part.iter().any(|(name, _)| name.is_none());
        // What was noticed of the run counts where the base does not say it already.
        let noticed = RunResult::of_steps(of_run.filter(|_| !has_base), None);
        let results = all.values().map(|one| one.result);
        let results: Vec<RunResult> = results
            .chain(not_served(frame))
            .chain(not_served(noticed))
            .collect();
        self.destinations = all;
        self.result = RunResult::of_all(&results);
    }

    /// The report of a run that came after another one of the same call, with what that one did for the
    /// destinations that this one was not for.
    #[must_use]
    pub fn after(mut self, before: &Self) -> Self {
        let mut before = before.clone();
        for report in [&mut self, &mut before] {
            if !report.is_of_several() {
                // It was for `local` and `cloud` alone.
                report.conclude(&[(None, Vec::new())]);
            }
        }
        let is_left = |step: &&StepReport| {
            let name = split_id(&step.step).1.map(DestinationName::new);
            match name {
                Some(name) => !self.destinations.contains_key(&name),
                None => {
                    is_frame(step) || !self.destinations.keys().any(DestinationName::is_predefined)
                }
            }
        };
        let steps: Vec<StepReport> = before.steps.iter().filter(is_left).cloned().collect();
        self.steps.splice(0..0, steps);
        for (name, chain) in &before.destinations {
            self.destinations
                .entry(name.clone())
                .or_insert_with(|| chain.clone());
        }
        self.snapshot = self.snapshot.or_else(|| before.snapshot.clone());
        let of_frame = RunResult::of_steps(None, self.worst(is_frame));
        let results = self.destinations.values().map(|one| one.result);
        let results: Vec<RunResult> = results.chain(not_served(of_frame)).collect();
        self.result = RunResult::of_all(&results);
        self
    }

    fn result_of(
        &self,
        severity: Option<Severity>,
        is_own: impl Fn(&StepReport) -> bool,
        frame: RunResult,
    ) -> RunResult {
        let worst = self.worst(is_own);
        match worst {
            // What kept it from being done is the run's.
            Some(Status::Skipped) if frame != RunResult::Success => frame,
            _ => RunResult::of_steps(severity, worst),
        }
    }

    fn worst(&self, is_own: impl Fn(&StepReport) -> bool) -> Option<Status> {
        let steps = self
            .steps
            .iter()
            .filter(|step| is_own(step) && !only_tells(&step.step));
        steps.map(|step| step.outcome.status).max()
    }
}

/// A result where it says more than that all went well.
fn not_served(result: RunResult) -> Option<RunResult> {
    Some(result).filter(|result| *result != RunResult::Success)
}

/// Whether a step is one of `local` or `cloud`.
fn is_base(step: &StepReport) -> bool {
    !is_frame(step) && split_id(&step.step).1.is_none()
}

/// How a run for one destination ended by its parts, in the order in which a run counts how its steps ended.
fn worst_of(results: &[RunResult]) -> RunResult {
    let order = [
        RunResult::Interrupted,
        RunResult::Failed,
        RunResult::Refused,
        RunResult::Deferred,
        RunResult::Incomplete,
    ];
    let worst = order.into_iter().find(|one| results.contains(one));
    worst.unwrap_or(RunResult::Success)
}

#[cfg(test)]
mod tests;
