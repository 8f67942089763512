//! Amounts as people read them; see [`schema::amount`].

pub(crate) use schema::amount::{age, between, bytes, count, plural, short_age, span, times};
