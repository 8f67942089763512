//! What is due of several destinations, by what is due of each.

use schema::config::DestinationName;

use super::Decision;

/// What a call comes to by what it comes to for each destination, and for which the run is: also for those
/// that are held up, so that it says so. `None` is the base, of `local` and `cloud`.
#[must_use]
pub fn decide_for_all(
    asked: Vec<(Option<DestinationName>, Decision)>,
) -> (Decision, Vec<(Option<DestinationName>, Decision)>) {
    let runs = |one: &(_, Decision)| matches!(one.1, Decision::Run(_));
    if asked.iter().any(runs) {
        let due = asked.into_iter();
        let due = due.filter(|(_, decision)| !matches!(decision, Decision::Nothing(_)));
        return (Decision::Run(None), due.collect());
    }
    let gravity = |decision: &Decision| match decision {
        Decision::Run(_) | Decision::RefuseAsBefore(_) => 2,
        Decision::Defer(_) => 1,
        Decision::Nothing(_) => 0,
    };
    let of = |name: Option<DestinationName>, text: String| match name {
        Some(name) => format!("{name}: {text}"),
        None => text,
    };
    let mut gravest: Option<(Option<DestinationName>, Decision)> = None;
    for one in asked {
        if gravest
            .as_ref()
            .is_none_or(|known| gravity(&one.1) > gravity(&known.1))
        {
            gravest = Some(one);
        }
    }
    let Some((name, decision)) = gravest else {
        return (
            Decision::Nothing("nothing is enabled".to_owned()),
            Vec::new(),
        );
    };
    let named = |mut finding: schema::Finding| {
        finding.message = of(name.clone(), finding.message);
        finding
    };
    let decision = match decision {
        Decision::Nothing(because) => Decision::Nothing(because),
        Decision::Run(part) => Decision::Run(part),
        Decision::Defer(finding) => Decision::Defer(named(finding)),
        Decision::RefuseAsBefore(finding) => Decision::RefuseAsBefore(named(finding)),
    };
    (decision, Vec::new())
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
        let (decision, due) = decide_for_all(vec![
            (None, Decision::Run(Some(Part::Cloud))),
            (usb.clone(), nothing()),
            (nas.clone(), away()),
        ]);
        assert_eq!(decision, Decision::Run(None));
        let names: Vec<_> = due.iter().map(|(name, _)| name.clone()).collect();
        assert_eq!(names, [None, nas.clone()]);
        let (decision, due) = decide_for_all(vec![(None, nothing()), (nas, away())]);
        assert!(matches!(&decision, Decision::Defer(one) if one.message == "nas: away"));
        assert!(due.is_empty());
        let (decision, _) = decide_for_all(vec![(None, nothing()), (usb, nothing())]);
        assert_eq!(decision, nothing());
    }
}
