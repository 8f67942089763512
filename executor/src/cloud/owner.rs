//! Whose copies stand on a remote: two machines of one name must not replace each other's files.
//!
//! `owner-<machine>.json`, the machine in its name, in the folder whose list every upload begins with:
//! `manifests`, or `records` where the layout is `history`. A remote without one is of whoever comes first.

use chrono::{DateTime, FixedOffset};
use schema::cloud::{CloudOwner, FORMAT_VERSION};

use super::{memory::RemoteCache, published::owner_file, rclone::Rclone};
use crate::{
    error::{Error, Result},
    state_dir::StateDir,
    store::{LONGEST_JSON, write_json},
    sys::machine,
};

/// What is to be done about the owner before anything is uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It is this machine, or none can be told.
    Ours,
    /// Nobody's yet.
    Free,
    /// Another machine's, by what its file is called for.
    Other(String),
}

/// Whose the copies are, as this machine sees it.
#[must_use]
pub fn claim_of(owners: &[String], this: Option<&str>) -> Claim {
    match (this, owners.first()) {
        (None, _) => Claim::Ours,
        (Some(_), None) => Claim::Free,
        (Some(this), Some(_)) if owners.iter().any(|one| one == this) => Claim::Ours,
        (Some(_), Some(other)) => Claim::Other(other.clone()),
    }
}

/// This machine, as it is named here.
#[must_use]
pub fn this_machine() -> Option<String> {
    machine::machine_id().map(|digest| digest.to_string()[..16].to_owned())
}

/// Writes in a folder of the remote that the copies are this machine's.
///
/// # Errors
/// Fails if the remote cannot be written.
pub fn write_owner(
    rclone: &Rclone<'_>,
    cache: &RemoteCache,
    folder: &str,
    host: &str,
    now: DateTime<FixedOffset>,
) -> Result<()> {
    const FILE: &str = "owner.json";
    let Some(owner) = own_claim(host, now) else {
        return Ok(());
    };
    write_json(cache.dir(), FILE, &cache.named(FILE), &owner)?;
    let to = format!("{folder}/{}", owner_file(&owner.machine));
    let from = cache.named(FILE);
    rclone
        .must(&["copyto", &from, &to, "--ignore-times"], &|| Ok(None))
        .map(|_| ())
}

/// What this machine says of itself; none where it has no id.
pub(super) fn own_claim(host: &str, now: DateTime<FixedOffset>) -> Option<CloudOwner> {
    Some(CloudOwner {
        format_version: FORMAT_VERSION,
        host: host.to_owned(),
        machine: this_machine()?,
        since: now,
        made_by: format!("backup {}", env!("CARGO_PKG_VERSION")),
    })
}

/// Takes the names of other machines away, once this one's stands there.
///
/// # Errors
/// Fails if the remote cannot be written.
pub fn remove_other_owners(rclone: &Rclone<'_>, folder: &str, others: &[String]) -> Result<()> {
    for other in others {
        let file = format!("{folder}/{}", owner_file(other));
        rclone.must(&["deletefile", &file], &|| Ok(None))?;
    }
    Ok(())
}

/// The refusal, with what the other machine wrote of itself.
///
/// # Errors
/// Fails if the remote cannot be asked.
pub fn refuse_other_owner(
    rclone: &Rclone<'_>,
    cache: &RemoteCache,
    (remote, folder): (&str, &str),
    other: &str,
) -> Result<Error> {
    const FILE: &str = "owner.other";
    let from = format!("{remote}/{folder}/{}", owner_file(other));
    let to = cache.named(FILE);
    rclone.must(&["copyto", &from, &to, "--ignore-times"], &|| Ok(None))?;
    let bytes = cache.dir().read_whole(FILE, LONGEST_JSON).ok().flatten();
    let owner: Option<CloudOwner> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let whose = owner.map_or_else(
        || "another machine of the same host name".to_owned(),
        |owner| {
            format!(
                "another machine of the host name {} (machine {}, since {})",
                schema::escape::display(owner.host.as_bytes()),
                schema::escape::display(owner.machine.as_bytes()),
                owner.since.format("%Y-%m-%d")
            )
        },
    );
    Ok(Error::refused(format!(
        "nothing is copied to {remote}: what is there belongs to {whose}"
    ))
    .hint(
        "give this machine a host name of its own (hostname) or another cloud.remotePath; if it is \
         the same machine, newly installed, run `backup init --take-over`",
    ))
}

/// Remembers that a person said that this machine goes on with what is on a remote: the next upload
/// writes its name there.
///
/// # Errors
/// A state directory that cannot be written.
pub fn take_over_remote(state: &StateDir, remote: &str) -> Result<()> {
    let cache = RemoteCache::open_or_new(state, remote)?;
    let mut memory = cache.memory().unwrap_or_default();
    memory.take_over = true;
    cache.remember(&memory)
}
