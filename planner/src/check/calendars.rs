//! Rules about calendar expressions.
use schema::Config;
use super::rules::Finding;
pub(super) fn frequency(_: &Config) -> Vec<Finding> { Vec::new() }
pub(super) fn health_check(_: &Config) -> Vec<Finding> { Vec::new() }
