//! Rules about calendar expressions.
use super::rules::Finding;
use schema::Config;
pub(super) fn frequency(_: &Config) -> Vec<Finding> {
    Vec::new()
}
pub(super) fn health_check(_: &Config) -> Vec<Finding> {
    Vec::new()
}
