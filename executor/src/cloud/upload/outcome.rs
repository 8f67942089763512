//! Says what came of an upload: what came, what was kept aside, and what is not as it should be.

use schema::{
    amount,
    cloud::{HISTORY, Withheld},
    journal::{Outcome, Problem, Status},
};

use super::{super::difference::Difference, context::Upload};

/// What takes away what a guard held back.
const APPROVE: &str =
    "look at what is gone or left out; if it is meant, run `backup apply --approve-deletions`";

/// How an upload ended.
pub(super) struct UploadResult {
    /// Files that the remote did not take.
    pub(super) faults: u64,
    /// Files that were uploaded besides those that were to be.
    pub(super) added: u64,
    /// Files that were damaged there and are not any more.
    pub(super) healed: u64,
    /// History folders that are old enough.
    pub(super) expired: u64,
    /// What was not uploaded.
    pub(super) problems: Vec<Problem>,
}

impl Upload<'_> {
    /// That all is there already.
    pub(super) fn nothing_to_do(&self) -> Outcome {
        let mut outcome =
            Outcome::success(format!("{} is at {} already", self.id(), self.step.remote));
        self.withheld
            .iter()
            .for_each(|one| add_withheld(&mut outcome, one));
        outcome
    }

    /// What was done.
    pub(super) fn outcome(&self, found: &Difference, ended: UploadResult) -> Outcome {
        let files = |count: u64| amount::plural(count, "file", "files");
        let change = &found.change;
        let mut message = format!(
            "{} is at {}: {} ({}) uploaded",
            self.id(),
            self.step.remote,
            files((change.upload_files + ended.added).saturating_sub(ended.faults)),
            amount::bytes(change.upload_bytes)
        );
        let moved = (found.moves.len() as u64).saturating_sub(ended.added);
        if moved > 0 {
            message.push_str(&format!(", {moved} moved there"));
        }
        if found.aside() > 0 {
            message.push_str(&format!(
                ", {} kept in {HISTORY}/{}/{}",
                amount::plural(found.aside(), "old one", "old ones"),
                self.id(),
                self.attempt
            ));
        }
        if ended.expired > 0 {
            message.push_str(&format!(
                ", history of {} expired",
                amount::plural(ended.expired, "upload", "uploads")
            ));
        }
        let harmed = found.harmed + ended.healed + self.rotten.len() as u64;
        if harmed > 0 && self.vanished.is_empty() {
            message.push_str(&format!(
                "; {} of earlier uploads that had been taken away or damaged there: brought again as \
                 far as they are here",
                files(harmed)
            ));
        }
        let mut outcome = Outcome {
            problems: ended.problems,
            ..Outcome::success(message)
        };
        let left = ended.faults + found.nameless_count;
        if left > 0 {
            let verb = if left == 1 { "is" } else { "are" };
            set_incomplete(
                &mut outcome,
                &format!("{} {verb} not uploaded", files(left)),
                if self.source.live.is_some() {
                    "the next run uploads what changed meanwhile; rename what the remote cannot \
                     hold, or exclude it with local.excludePatterns"
                } else {
                    "rename what the remote cannot hold, or exclude it with local.excludePatterns"
                },
            );
        }
        if let Some(withheld) = &self.withheld {
            add_withheld(&mut outcome, withheld);
        }
        self.tell_of_earlier(&mut outcome);
        outcome
    }

    /// What is not there any more of earlier uploads.
    fn tell_of_earlier(&self, outcome: &mut Outcome) {
        let listed = |ids: &[schema::SnapshotId]| {
            let newest = ids
                .iter()
                .max()
                .map(ToString::to_string)
                .unwrap_or_default();
            let count = amount::plural(ids.len() as u64, "earlier upload", "earlier uploads");
            (count, newest)
        };
        if let Some(damaged) = (!self.damaged.is_empty()).then(|| listed(&self.damaged)) {
            // What is left on the remote is the remote's to keep; the copy itself is whole again.
            outcome.message.push_str(&format!(
                "; the records of {} there are damaged (the newest is {}): it was compared with the \
                 one before",
                damaged.0, damaged.1
            ));
        }
        if self.vanished.is_empty() {
            return;
        }
        let (count, newest) = listed(&self.vanished);
        let all = self.memory.uploaded.iter().all(|id| *id == self.id());
        let what = if all {
            format!(
                "nothing of the {count} is there any more (the newest was {newest}): a new copy was \
                 begun"
            )
        } else {
            format!("{count} (the newest was {newest}) can not be found there any more")
        };
        set_incomplete(
            outcome,
            &what,
            "see whether somebody emptied the remote, and whether cloud.remote, cloud.remotePath and \
             the password of a crypt remote in cloud.configFile are those of before; it is told once",
        );
    }
}

/// That a guard held something back.
fn add_withheld(outcome: &mut Outcome, withheld: &Withheld) {
    let what = match withheld.files {
        0 => "nothing is taken away and no history expires".to_owned(),
        1 => "1 file that is gone or left out here is not taken away".to_owned(),
        files => format!("{files} files that are gone or left out here are not taken away"),
    };
    set_incomplete(outcome, &format!("{what}: {}", withheld.because), APPROVE);
}

fn set_incomplete(outcome: &mut Outcome, what: &str, hint: &str) {
    outcome.status = outcome.status.max(Status::Incomplete);
    outcome.message.push_str("; ");
    outcome.message.push_str(what);
    outcome.hint = Some(match outcome.hint.take() {
        Some(before) => format!("{before}; {hint}"),
        None => hint.to_owned(),
    });
}
