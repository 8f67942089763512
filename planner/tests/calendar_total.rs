//! Parsers and searches answer for every text and every moment.
//!
//! Owns that nothing panics or runs on; what the answers are is for other tests.

use chrono::{DateTime, NaiveDateTime};
use planner::calendar::Calendar;
use proptest::prelude::*;
use schema::Span;

/// Any civil time that chrono can hold.
fn moments() -> impl Strategy<Value = NaiveDateTime> {
    let near = -10_000_000_000i64..10_000_000_000;
    let all = NaiveDateTime::MIN.and_utc().timestamp()..=NaiveDateTime::MAX.and_utc().timestamp();
    (prop_oneof![near, all], 0u32..2_000_000_000).prop_filter_map("a moment", |(seconds, nanos)| {
        DateTime::from_timestamp(seconds, nanos).map(|moment| moment.naive_utc())
    })
}

/// Whatever an expression says, each of its answers keeps its promise.
fn check(text: &str, moment: NaiveDateTime) -> Result<(), TestCaseError> {
    let Ok(calendar) = text.parse::<Calendar>() else {
        return Ok(());
    };
    let _ = calendar.interval_hint(moment);
    if let Some(next) = calendar.next_after(moment) {
        prop_assert!(next > moment);
        prop_assert!(calendar.previous_before(next).is_none_or(|p| p <= moment));
    }
    if let Some(previous) = calendar.previous_before(moment) {
        prop_assert!(previous < moment);
        prop_assert!(calendar.next_after(previous).is_none_or(|n| n >= moment));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_text_has_an_answer(text in any::<String>(), moment in moments()) {
        check(&text, moment)?;
        if let Ok(span) = text.parse::<Span>() {
            prop_assert_eq!(span.to_string(), text);
        }
    }

    #[test]
    fn texts_of_the_right_letters_have_one(
        text in "((Mon|Tue..Sun|,|-)? ?){0,2}[0-9*~@:.,/-]{0,24}( [0-9*:.,/]{1,12})?( UTC)?",
        moment in moments(),
    ) {
        check(&text, moment)?;
    }

    #[test]
    fn expressions_have_one(
        text in "((Mon|Tue..Thu|Sat,Sun) )?(([*]|20[0-9]{2}(/[0-9])?)-)?([*]|1?[0-9]([.][.]1?[0-9]|/[0-9])?)[~-]([*]|[12]?[0-9]([.][.][12]?[0-9]|/[0-9])?) ([*]|1?[0-9](/[0-9])?):([*]|[1-5]?[0-9](/[0-9]{1,2})?)(:[1-5]?[0-9]([.][0-9]{1,7})?(/[0-9]?[.][0-9]{1,6})?)?",
        moment in moments(),
    ) {
        check(&text, moment)?;
    }

    #[test]
    fn spans_of_the_right_letters_have_one(
        text in "([+.0-9]{1,22} ?(us|ms|s|min|h|d|w|M|y|µs|infinity)? ?){0,5}",
    ) {
        if let Ok(span) = text.parse::<Span>() {
            prop_assert_eq!(u128::from(span.as_micros()), span.as_duration().as_micros());
        }
    }
}
