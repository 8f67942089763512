//! What is due of several destinations, by what is due of each.

use schema::{Finding, config::DestinationName};

use super::Decision;

/// What a timer's call comes to for several destinations; `None` among them is the base, of `local` and
/// `cloud`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecisionForAll {
    /// Nothing is due, and why.
    Nothing(String),
    /// A run for these, each with what is due of it: also for those that are held up, so that it says so.
    Run(Vec<(Option<DestinationName>, Decision)>),
    /// All that is due is held up, each by this.
    HeldUp(Vec<(Option<DestinationName>, Finding)>),
}

/// What a call comes to by what it comes to for each destination.
#[must_use]
pub fn decide_for_all(asked: Vec<(Option<DestinationName>, Decision)>) -> DecisionForAll {
    let mut because = None;
    let mut due = Vec::new();
    for (of, decision) in asked {
        match decision {
            Decision::Nothing(why) => because = because.or(Some(why)),
            decision => due.push((of, decision)),
        }
    }
    if due.is_empty() {
        let because = because.unwrap_or_else(|| "nothing is enabled".to_owned());
        return DecisionForAll::Nothing(because);
    }
    let held = due.iter().map(|(of, decision)| match decision {
        Decision::Defer(finding) | Decision::RefuseAsBefore(finding) => {
            Some((of.clone(), finding.clone()))
        }
        Decision::Run(_) | Decision::Nothing(_) => None,
    });
    match held.collect() {
        Some(held) => DecisionForAll::HeldUp(held),
        None => DecisionForAll::Run(due),
    }
}

#[cfg(test)]
mod tests {
    use schema::{Finding, Severity, plan::Part};

    use super::*;

    #[test]
    fn one_that_is_due_begins_a_run_that_tells_of_those_held_up() {
        let usb = Some(DestinationName::new("usb"));
        let nas = Some(DestinationName::new("nas"));
        let nothing = || Decision::Nothing("new".to_owned());
        let away = || Decision::Defer(Finding::new(Severity::Deferral, "x", "away"));
        let run = decide_for_all(vec![
            (None, Decision::Run(Some(Part::Cloud))),
            (usb.clone(), nothing()),
            (nas.clone(), away()),
        ]);
        let DecisionForAll::Run(due) = run else {
            panic!("{run:?}");
        };
        let names: Vec<_> = due.iter().map(|(name, _)| name.clone()).collect();
        assert_eq!(names, [None, nas.clone()]);
    }

    #[test]
    fn each_that_is_held_up_is_told_of_where_nothing_else_is_due() {
        let usb = Some(DestinationName::new("usb"));
        let nas = Some(DestinationName::new("nas"));
        let nothing = || Decision::Nothing("new".to_owned());
        let away = Finding::new(Severity::Deferral, "x", "away");
        let full = Finding::new(Severity::Refusal, "y", "full");
        let held = decide_for_all(vec![
            (None, nothing()),
            (nas.clone(), Decision::Defer(away.clone())),
            (usb.clone(), Decision::RefuseAsBefore(full.clone())),
        ]);
        assert_eq!(
            held,
            DecisionForAll::HeldUp(vec![(nas, away), (usb.clone(), full)])
        );
        let nothing = decide_for_all(vec![(None, nothing()), (usb, nothing())]);
        assert_eq!(nothing, DecisionForAll::Nothing("new".to_owned()));
    }
}
