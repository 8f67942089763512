//! Reading back what is stored: the next share of a disk or of a remote, and when any of it was read.

use std::time::Instant;

use executor::{
    ErrorKind,
    cloud::{
        remote_history::{HistoryRemote, ReadShare, ReadingArea, WantedShare, id_of_remote},
        verify::Share,
    },
    error::Result,
    health,
    state_dir::StateDir,
};
use schema::{
    config::Subset,
    health::{Measured, VerifiedShare},
    output::cloud::CloudVerification,
};

use super::operation::Operation;

impl Operation<'_> {
    /// Reads the next share of what is stored, where that is asked for and the drive or the remote is there;
    /// what keeps it from that is part of the answer.
    ///
    /// # Errors
    /// An interruption.
    pub(super) fn read_next_share(&self, state: &StateDir) -> Result<Measured> {
        let engine = self.engine;
        let mut measured = Measured::default();
        let Some(wanted) = engine.config.monitoring.verify_subset else {
            return Ok(measured);
        };
        let read = match (engine.config.local.enable, engine.is_of_remote()) {
            (true, _) => self.read_share_of_disk(state, wanted),
            (false, true) => self.read_share_of_remote(state, wanted, &mut measured.put_off),
            (false, false) => Ok(None),
        };
        match read {
            Ok(read) => measured.verified = read,
            Err(error) if error.kind == ErrorKind::Interrupted => return Err(error),
            // A run is at work there, and waits for nobody.
            Err(error) if error.kind == ErrorKind::Busy && engine.is_of_remote() => {
                measured.put_off = Some(error.message);
            }
            Err(error) => measured.not_verified = Some(error.message),
        }
        Ok(measured)
    }

    fn read_share_of_disk(
        &self,
        state: &StateDir,
        wanted: Subset,
    ) -> Result<Option<VerifiedShare>> {
        match self.engine.open_store()? {
            Some(store) => health::read_share(state, &store, wanted, self.context),
            None => Ok(None),
        }
    }

    /// The same of a remote with history. It is read beside whatever runs, in the time that an upload may take;
    /// `put_off` says what of it is left for the next check.
    fn read_share_of_remote(
        &self,
        state: &StateDir,
        wanted: Subset,
        put_off: &mut Option<String>,
    ) -> Result<Option<VerifiedShare>> {
        let (remote, host) = (self.engine.cloud_remote(), self.engine.host_folder());
        let id = id_of_remote(&remote);
        let now = self.context.clock.now();
        let (part, from) = state.remembered(&id).shares.next_place(wanted, now);
        let of = wanted.of;
        let share = WantedShare { part, of, from };
        let Some(mut reading) = self.with_history(|remote| remote.look_at_share(share))? else {
            return Ok(None);
        };
        let limit = &self.engine.config.cloud.timeout;
        let until = Instant::now().checked_add(limit.as_duration());
        let until = until.map(|until| (until, limit.to_string()));
        self.call_rclone(state, &remote, until, |rclone, cache| {
            let area = ReadingArea::open(cache)?;
            reading.read(&HistoryRemote {
                rclone,
                cache: &area.cache,
                remote: &remote,
                host: &host,
            })
        })?;
        let read = match reading.wants_settling() {
            true => self.with_history(|remote| remote.settle_share(reading))?,
            false => reading.end(),
        };
        let ended_at = self.context.clock.now();
        let ended = read.unread.ended.as_ref();
        let mut remembered = state.remembered(&id);
        let is_all = read_all(&read.found);
        let shares = &mut remembered.shares;
        shares.note_share((part, of), ended.map(|(at, _)| *at), is_all, ended_at);
        let (parts_read, oldest_at) = shares.read_so_far();
        remembered.read_at = remembered.read_at.max(Some(ended_at));
        state.remember(&id, remembered)?;
        *put_off = ended.map(|(_, because)| {
            let percent = read.percent;
            format!("{percent} % of part {part}/{of} was read: {because}")
        });
        Ok(Some(VerifiedShare {
            part,
            of,
            parts_read,
            oldest_at: oldest_at.unwrap_or(ended_at),
            files_read: read.found.read_files + read.found.hashed_files,
            bytes_read: read
                .found
                .read_bytes
                .saturating_add(read.found.hashed_bytes),
            damage_count: read.found.damage_count + read.unread.records.len() as u64,
            first_damage: first_damage(&read),
        }))
    }

    /// Remembers when content of a remote was read by hand, and what of it.
    pub(super) fn note_reading(&self, remote: &str, share: Share, found: &CloudVerification) {
        let now = self.context.clock.now();
        if share == Share::None {
            return;
        }
        self.remember_or_notice(|state| {
            let id = id_of_remote(remote);
            let mut remembered = state.remembered(&id);
            match share {
                _ if share == Share::All || read_all(found) => remembered.shares.note_all(now),
                Share::Part { part, of } => remembered.shares.note_out_of_turn(part, of, now),
                _ => {}
            }
            remembered.read_at = remembered.read_at.max(Some(now));
            state.remember(&id, remembered)
        });
    }
}

/// Whether the content of all that was compared is known.
fn read_all(found: &CloudVerification) -> bool {
    found.read_files + found.hashed_files >= found.files
}

fn first_damage(read: &ReadShare) -> Option<String> {
    let file = read.found.damage.first();
    let file = file.map(|one| format!("{}: {}", one.path, one.message));
    let record = read.unread.records.first();
    let record = || record.map(|id| format!("record or manifest of {id} is damaged there"));
    file.or_else(record)
}
