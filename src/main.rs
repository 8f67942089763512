//! The command line.
#![allow(dead_code, reason = "the verbs that use these modules come next")]

mod progress;
mod render;
mod style;

fn main() {}
