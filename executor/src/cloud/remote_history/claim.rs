//! Whose the copies are, which version reads them, and what others are doing there.

use chrono::TimeDelta;
use schema::remote_history::{FORMAT_VERSION, RECORDS, RemoteFormat, RemoteIntent};

use super::{HistoryRemote, RemoteListing};
use crate::{
    cloud::{
        owner::{self, Claim},
        published::owner_file,
    },
    error::{Error, Result},
    store::{LONGEST_JSON, write_json},
};

/// After this an intent that nobody took away counts no more.
const INTENT_HOLDS: TimeDelta = TimeDelta::days(7);

impl HistoryRemote<'_> {
    /// Makes the remote this machine's, if it is nobody's yet or to be taken over.
    pub(super) fn claim(&self, listing: &RemoteListing) -> Result<()> {
        let claim = owner::claim_of(&listing.owners, owner::this_machine().as_deref());
        // Whoever takes over says so with what is remembered of the remote.
        let mut memory = self.cache.memory().unwrap_or_default();
        if let Claim::Other(other) = &claim
            && !memory.take_over
        {
            let at = (self.remote, RECORDS);
            return Err(owner::refuse_other_owner(
                self.rclone,
                self.cache,
                at,
                other,
            )?);
        }
        let is_new = listing.records.is_empty() && listing.owners.is_empty();
        if is_new && self.has_mirror()? {
            return Err(Error::refused(format!(
                "{} has copies of layout \"mirror\", and those of layout \"history\" cannot stand beside them",
                self.remote
            ))
            .hint("give them a remotePath of their own, or set the layout to \"mirror\""));
        }
        if claim != Claim::Ours || listing.format == 0 {
            self.write_claim(&claim, listing)?;
        }
        if memory.take_over {
            memory.take_over = false;
            self.cache.remember(&memory)?;
        }
        Ok(())
    }

    /// Writes what is missing of owner and format.
    fn write_claim(&self, claim: &Claim, listing: &RemoteListing) -> Result<()> {
        const AREA: &str = "claim";
        let dir = self.cache.empty_area(AREA, self.rclone.context)?;
        let path = self.cache.named(AREA);
        let own = owner::own_claim(self.host, self.rclone.context.clock.now());
        if let Some(own) = own.filter(|_| *claim != Claim::Ours) {
            write_json(&dir, &owner_file(&own.machine), &path, &own)?;
        }
        if listing.format == 0 {
            let format = RemoteFormat {
                format_version: FORMAT_VERSION,
                made_by: made_by(),
            };
            write_json(
                &dir,
                &format!("format-{FORMAT_VERSION}.json"),
                &path,
                &format,
            )?;
        }
        let to = self.records();
        let arguments = ["copy", &path, &to, "--no-traverse", "--no-check-dest"];
        self.must_write(&arguments, &to)
    }

    /// Refuses while another machine takes objects away: it may not know yet what is relied on here.
    pub(super) fn give_way(&self, listing: &RemoteListing) -> Result<()> {
        let this = owner::this_machine();
        let others = listing
            .expiries
            .iter()
            .filter(|other| Some(*other) != this.as_ref());
        for other in others {
            if self.intent_holds(&format!("expiry-{other}.json"))? {
                return Err(Error::busy(format!(
                    "nothing is copied to {}: another machine ({}) is taking old snapshots away there",
                    self.remote,
                    schema::escape::display(other.as_bytes())
                ))
                .hint("the next run tries again"));
            }
        }
        Ok(())
    }

    /// Whether what a machine said that it is doing still counts.
    pub(super) fn intent_holds(&self, name: &str) -> Result<bool> {
        const INTENT: &str = "other.json";
        drop(self.cache.new_file(INTENT)?);
        let (from, to) = (
            format!("{}/{name}", self.records()),
            self.cache.named(INTENT),
        );
        let arguments = ["copyto", &from, &to, "--ignore-times"];
        self.rclone.must(&arguments, &|| Ok(None))?;
        let bytes = self
            .cache
            .dir()
            .read_whole(INTENT, LONGEST_JSON)
            .ok()
            .flatten();
        let intent: Option<RemoteIntent> =
            bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let now = self.rclone.context.clock.now();
        Ok(intent.is_none_or(|intent| now - intent.begun_at <= INTENT_HOLDS))
    }

    /// Says that objects are put, where others may be about to take some away; gives the number.
    pub(super) fn write_intent(&self, listing: &RemoteListing) -> Result<Option<u64>> {
        const INTENT: &str = "intent.json";
        let Some(machine) = owner::this_machine() else {
            return Ok(None);
        };
        let number = self.own_intents(listing).max().unwrap_or(0) + 1;
        let intent = RemoteIntent {
            format_version: FORMAT_VERSION,
            machine: machine.clone(),
            begun_at: self.rclone.context.clock.now(),
        };
        write_json(self.cache.dir(), INTENT, &self.cache.named(INTENT), &intent)?;
        self.write_to_records(INTENT, &intent_file(&machine, number))?;
        Ok(Some(number))
    }

    /// The numbers of this machine's intents that are there.
    pub(super) fn own_intents(&self, listing: &RemoteListing) -> impl Iterator<Item = u64> {
        let this = owner::this_machine();
        let own = listing
            .uploads
            .iter()
            .filter(move |(machine, _)| Some(machine) == this.as_ref());
        own.map(|(_, number)| *number)
    }

    /// Takes this machine's intents away.
    pub(super) fn remove_intents(&self, numbers: &[u64]) -> Result<()> {
        let Some(machine) = owner::this_machine() else {
            return Ok(());
        };
        for number in numbers {
            let file = format!("{}/{}", self.records(), intent_file(&machine, *number));
            self.rclone.must(&["deletefile", &file], &|| Ok(None))?;
        }
        Ok(())
    }

    /// Writes a file of the cache to `records`.
    pub(super) fn write_to_records(&self, from: &str, name: &str) -> Result<()> {
        let (from, to) = (self.cache.named(from), format!("{}/{name}", self.records()));
        self.must_write(&["copyto", &from, &to, "--no-check-dest"], &to)
    }

    /// Calls rclone for something that writes to the remote.
    pub(super) fn must_write(&self, arguments: &[&str], to: &str) -> Result<()> {
        if self.rclone.must(arguments, &|| Ok(None))? {
            return Ok(());
        }
        Err(Error::failed(format!(
            "cloud copy failed: {} could not write to {to}",
            self.rclone.program
        )))
    }
}

fn intent_file(machine: &str, number: u64) -> String {
    format!("upload-{machine}-{number}.json")
}

/// The program, with its version.
pub(super) fn made_by() -> String {
    format!("backup {}", env!("CARGO_PKG_VERSION"))
}
