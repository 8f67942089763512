//! Whose the copies are, which version reads them, and what others are doing there.

use chrono::TimeDelta;
use schema::{
    FailureCode,
    remote_history::{FORMAT_VERSION, RECORDS, RemoteFormat, RemoteIntent},
};

use super::{
    HistoryRemote, RemoteListing,
    layout::{ended_file, upload_file},
};
use crate::{
    cloud::{
        owner::{self, Claim},
        published::owner_file,
    },
    error::{Error, ErrorKind, Result},
    store::{LONGEST_JSON, write_json},
};

/// After this an intent that nobody took away counts no more.
const INTENT_HOLDS: TimeDelta = TimeDelta::days(7);

/// What is said of a key that is known and may not do something, which else sounds as if nobody answered.
const FORBIDDEN: [&str; 2] = ["403 Forbidden", "401 Unauthorized"];
/// What to set where a key may not delete.
pub(super) const EXPIRE_NEVER: &str = "cloud.expire to \"never\"";

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
            let note = format!("expiry-{other}.json");
            if self.intent_holds(&note)? {
                let doing = format!("nothing is copied to {}", self.remote);
                return Err(self.gives_way(&doing, other, "is taking old snapshots away", &note));
            }
        }
        Ok(())
    }

    /// The error of one that gives way to another machine, whose note says what that is doing.
    pub(super) fn gives_way(&self, why: &str, other: &str, does: &str, note: &str) -> Error {
        let note = format!("{}/{note}", self.records());
        Error::busy(format!(
            "{why}: another machine ({}) {does} there",
            schema::escape::display(other.as_bytes())
        ))
        .hint(format!(
            "the next run tries again; if that machine is no more, `{} deletefile {}` (with cloud.configFile) \
             takes its note away, which else counts for a week",
            self.rclone.program,
            schema::shell::word(note.as_bytes())
        ))
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
        let all = listing.uploads.iter().chain(&listing.ended);
        let own = all.filter(|(of, _)| *of == machine);
        let number = own.map(|(_, number)| *number).max().unwrap_or(0) + 1;
        let intent = RemoteIntent {
            format_version: FORMAT_VERSION,
            machine: machine.clone(),
            begun_at: self.rclone.context.clock.now(),
        };
        write_json(self.cache.dir(), INTENT, &self.cache.named(INTENT), &intent)?;
        self.write_to_records(INTENT, &upload_file(&machine, number))?;
        Ok(Some(number))
    }

    /// The numbers of this machine's intents that are there and count.
    pub(super) fn own_intents(&self, listing: &RemoteListing) -> impl Iterator<Item = u64> {
        let this = owner::this_machine();
        let own = listing
            .under_way()
            .filter(move |(machine, _)| Some(machine) == this.as_ref());
        own.map(|(_, number)| *number)
    }

    /// Ends this machine's intents: takes them away, or says beside them that they are no more.
    pub(super) fn end_intents(&self, numbers: &[u64], may_delete: bool) -> Result<()> {
        const ENDED: &str = "ended.json";
        let Some(machine) = owner::this_machine() else {
            return Ok(());
        };
        for number in numbers {
            if may_delete {
                self.remove_note(&upload_file(&machine, *number))?;
                continue;
            }
            let ended = RemoteIntent {
                format_version: FORMAT_VERSION,
                machine: machine.clone(),
                begun_at: self.rclone.context.clock.now(),
            };
            write_json(self.cache.dir(), ENDED, &self.cache.named(ENDED), &ended)?;
            self.write_to_records(ENDED, &ended_file(&machine, *number))?;
        }
        Ok(())
    }

    /// Takes a note of this machine away.
    pub(super) fn remove_note(&self, name: &str) -> Result<()> {
        let file = format!("{}/{name}", self.records());
        let removed = self.rclone.must(&["deletefile", &file], &|| Ok(None));
        removed.map(|_| ()).map_err(|error| self.not_deleted(error))
    }

    /// The error of a deletion: what else can be written there is not what lets a key delete.
    pub(super) fn not_deleted(&self, error: Error) -> Error {
        let is_reached = error.code != Some(FailureCode::Unreachable)
            || FORBIDDEN.iter().any(|sign| error.message.contains(sign));
        if error.kind != ErrorKind::Failed || !is_reached {
            return error;
        }
        let said = ["connection failed: ", "cloud copy failed: "]
            .iter()
            .find_map(|before| error.message.strip_prefix(before));
        let said = said.unwrap_or(&error.message);
        Error::failed(format!("{} deletes nothing: {said}", self.remote))
            .coded(FailureCode::ProgramFailed)
            .hint(format!(
                "nothing is lost; if the key may not delete, and is not to, set {EXPIRE_NEVER}; else let it delete"
            ))
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

/// The program, with its version.
pub(super) fn made_by() -> String {
    format!("backup {}", env!("CARGO_PKG_VERSION"))
}
