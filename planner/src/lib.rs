//! The decisions of the backup system: pure functions over the nouns of `schema`.

pub mod check;
