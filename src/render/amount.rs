//! Amounts as people read them; see [`schema::amount`].

pub(crate) use schema::amount::{age, between, bytes, count, plural, short_age, span};

/// How often, in words.
pub(crate) fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        many => format!("{} times", self::count(many)),
    }
}
