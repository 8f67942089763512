//! Which of several destinations a person means who names none: the nearest that has what is asked for.
//!
//! Owns what it means to have it. The order is that of a run, `local` first and remotes last; whoever looks
//! at them, one after the other, does not look at those behind the one that serves.

use chrono::{DateTime, FixedOffset};
use schema::{config::DestinationName, inventory::DestinationState};

use crate::{
    naming,
    stored_snapshot::{NamingRefusal, find_as_of, find_stored},
};

type Time = DateTime<FixedOffset>;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked<'a> {
    /// Any snapshots.
    Any,
    /// Each of the snapshots of these names.
    Named(&'a [&'a str]),
    /// A good snapshot that was started at this time or before.
    AsOf(Time),
}

/// Whether a destination has what is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Serves {
    /// It has.
    Yes,
    /// It has not; another one may.
    No(NamingRefusal),
    /// A name may mean several there: a person must say which, wherever else it may mean one.
    Unclear(NamingRefusal),
}

/// Whether a destination has what is asked for, by what is known of it.
#[must_use]
pub fn serves(asked: Asked<'_>, found: &DestinationState, now: Time) -> Serves {
    let refused = match asked {
        Asked::Any if found.snapshots.is_empty() && found.unmanaged.is_empty() => {
            Some(NamingRefusal::of_name(naming::NO_SNAPSHOT.to_owned()))
        }
        Asked::Any => None,
        Asked::Named(names) => {
            let mut names = names.iter();
            names.find_map(|name| find_stored(name, found, now).err())
        }
        Asked::AsOf(time) => find_as_of(time, found).err(),
    };
    match refused {
        None => Serves::Yes,
        Some(refusal) if naming::is_ambiguous(&refusal.message) => Serves::Unclear(refusal),
        Some(refusal) => Serves::No(refusal),
    }
}

/// Why another destination than `local` is taken, as a note; none where the first one served.
#[must_use]
pub fn explain(taken: &DestinationName, passed: &[(DestinationName, String)]) -> Option<String> {
    if passed.is_empty() {
        return None;
    }
    let because: Vec<String> = passed
        .iter()
        .map(|(name, because)| format!("{name}: {because}"))
        .collect();
    Some(format!("{taken} is used ({})", because.join("; ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::test_support::{destination, snapshot};

    fn now() -> Time {
        "2025-01-20T12:00:00Z".parse().unwrap()
    }

    fn has(days: &[&str]) -> DestinationState {
        let all: Vec<_> = days.iter().map(|day| snapshot(day, false)).collect();
        destination(true, &json!(all))
    }

    #[test]
    fn a_destination_serves_if_it_has_all_that_is_asked_for() {
        let found = has(&["2025-01-14", "2025-01-15"]);
        let serves = |asked| serves(asked, &found, now());
        for asked in [
            Asked::Any,
            Asked::Named(&[]),
            Asked::Named(&["latest"]),
            Asked::Named(&["latest~1", "2025-01-15"]),
            Asked::AsOf("2025-01-14T03:00:00Z".parse().unwrap()),
        ] {
            assert_eq!(serves(asked), Serves::Yes, "{asked:?}");
        }
        for asked in [
            Asked::Named(&["latest", "2025-01-13"]),
            Asked::Named(&["latest~2"]),
            Asked::AsOf("2025-01-13T03:00:00Z".parse().unwrap()),
        ] {
            assert!(matches!(serves(asked), Serves::No(_)), "{asked:?}");
        }
    }

    #[test]
    fn an_empty_one_has_nothing_and_a_name_that_is_unclear_is_no_reason_to_go_on() {
        assert!(matches!(
            serves(Asked::Any, &has(&[]), now()),
            Serves::No(_)
        ));
        let found = has(&["2025-01-14", "2025-01-15"]);
        let unclear = serves(Asked::Named(&["2025-01"]), &found, now());
        assert!(matches!(unclear, Serves::Unclear(_)), "{unclear:?}");
    }

    #[test]
    fn what_was_passed_over_is_told_with_its_reason() {
        let name = DestinationName::new;
        assert_eq!(explain(&name("local"), &[]), None);
        let passed = [
            (name("local"), "it is not mounted".to_owned()),
            (name("usb"), "there is no snapshot `x`".to_owned()),
        ];
        assert_eq!(
            explain(&name("b2"), &passed).as_deref(),
            Some("b2 is used (local: it is not mounted; usb: there is no snapshot `x`)")
        );
    }
}
