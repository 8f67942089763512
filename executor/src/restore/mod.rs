//! shim
use crate::{error::Result, event::Context, store::Store};
use schema::{journal::Outcome, plan::RestoreStep};
/// shim
pub fn run(_: &Store, _: &RestoreStep, _: Context<'_>) -> Result<Outcome> {
    Ok(Outcome::default())
}
/// shim
pub struct Request<'a> { /// x
pub store: &'a Store, /// x
pub snapshot: Option<schema::SnapshotId>, /// x
pub home_folder: &'a str, /// x
pub tree: crate::sys::Dir, /// x
pub path: &'a std::path::Path, /// x
pub target: &'a std::path::Path, /// x
pub overwrite: bool, /// x
pub aside_suffix: String }
/// shim
pub fn plan(_: &Request<'_>, _: Context<'_>) -> Result<RestoreStep> { Err(crate::Error::failed("shim")) }
