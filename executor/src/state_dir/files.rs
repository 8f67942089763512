//! Names of what stands in the state directory.

pub(super) const RUNS: &str = "runs";
pub(super) const DESTINATIONS: &str = "destinations.json";
pub(super) const VERIFIED: &str = "verified.json";
pub(super) const SEALED: &str = "sealed.json";
pub(super) const LOCK: &str = "lock";
pub(super) const WORK_LOCK: &str = "work.lock";
pub(super) const CONFIG: &str = "config.json";
pub(super) const INVENTORY: &str = "inventory.json";
pub(super) const SUMMARY: &str = "summary.json";
pub(super) const PLAN: &str = "plan.json";
pub(super) const REPORT: &str = "report.json";
pub(super) const NUMBER: &str = "number.json";
pub(super) const PROGRESS: &str = "progress.json";
