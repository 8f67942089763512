//! Counts what a restore comes to on the way, and tells it at the end.

use super::metadata::Limits;
use schema::journal::{Outcome, Problem, ProblemKind, Status};

/// Problems that are listed.
const LISTED: usize = 1000;
/// Paths that are named as examples.
const NAMED: usize = 3;

/// What a restore came to.
#[derive(Default)]
pub(super) struct Tally {
    problems: Vec<Problem>,
    problem_count: u64,
    /// Those of them that are entries which the manifest does not list.
    unlisted: u64,
    /// Those of them that are rights which nothing vouches for.
    unvouched: u64,
    /// What to say besides, in sentences.
    pub(super) notes: Vec<String>,
    /// Entries whose owner only root may set.
    pub(super) owners_left: u64,
    /// Entries that were made.
    pub(super) restored: u64,
    /// Entries that were there already.
    pub(super) already_there: u64,
    /// Entries that were there and whose metadata was made the snapshot's.
    pub(super) put_right: u64,
    /// Folders with more in them than the snapshot has, and so with another time.
    pub(super) folders_keep_time: u64,
    /// What the file system cannot hold, by entries.
    pub(super) limits: LimitCounts,
    /// Entries whose flags are not set, and the first of them.
    flags_left: (u64, Vec<String>),
    /// Entries that were renamed aside.
    pub(super) kept_aside: u64,
    /// Files that were read back and are as the manifest recorded them.
    pub(super) read_back: u64,
    /// Files whose content is not what the manifest recorded.
    pub(super) damaged: u64,
}

/// Entries of whose metadata something cannot be held.
#[derive(Default)]
pub(super) struct LimitCounts {
    owners: u64,
    modes: u64,
    times: u64,
    attributes: u64,
}

impl LimitCounts {
    pub(super) fn add(&mut self, limits: Limits) {
        self.owners += u64::from(limits.owner);
        self.modes += u64::from(limits.mode);
        self.times += u64::from(limits.time);
        self.attributes += u64::from(limits.attributes);
    }

    fn note(&self) -> Option<String> {
        let all = [
            (self.owners, "owner"),
            (self.modes, "mode"),
            (self.times, "time"),
            (self.attributes, "attributes"),
        ];
        let some = all.into_iter().filter(|(count, _)| *count > 0);
        let some: Vec<String> = some
            .map(|(count, what)| format!("the {what} of {}", entries(count)))
            .collect();
        (!some.is_empty()).then(|| {
            format!(
                "this file system cannot hold {}; the snapshot has all of it",
                some.join(", ")
            )
        })
    }
}

impl Tally {
    /// Counts an entry whose flags are not set.
    pub(super) fn flags_left(&mut self, path: String) {
        self.flags_left.0 += 1;
        if self.flags_left.1.len() < NAMED {
            self.flags_left.1.push(path);
        }
    }

    /// What to say besides what was done.
    fn notes(&mut self) -> Vec<String> {
        let mut notes = std::mem::take(&mut self.notes);
        notes.extend(self.limits.note());
        let (count, named) = &self.flags_left;
        if *count > 0 {
            let more = count - named.len() as u64;
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            notes.push(format!(
                "flags are not restored; {} could not be changed, or be appended to only (`chattr \
                 +i`, `+a`): {}{more}",
                entries(*count),
                named.join(", ")
            ));
        }
        if self.folders_keep_time > 0 {
            let folders = match self.folders_keep_time {
                1 => "1 folder keeps its own time".to_owned(),
                count => format!("{count} folders keep their own time"),
            };
            notes.push(format!(
                "{folders}, for there is more in it than the snapshot has"
            ));
        }
        notes
    }

    /// Adds a path that did not go as it should.
    pub(super) fn problem(&mut self, problem: Problem) {
        self.problem_count += 1;
        self.unlisted += u64::from(problem.kind == ProblemKind::Unlisted);
        self.unvouched += u64::from(problem.kind == ProblemKind::Unvouched);
        if self.problems.len() < LISTED {
            self.problems.push(problem);
        }
    }

    /// How the restore to this target ended.
    pub(super) fn outcome(mut self, folder: &str, target: &str, aside: &str) -> Outcome {
        let mut message = format!(
            "restored {} from {folder} to {target}",
            entries(self.restored)
        );
        if self.read_back > 0 {
            message.push_str(&format!(
                ", {} read back and found as recorded",
                files(self.read_back)
            ));
        }
        if self.already_there > 0 {
            message.push_str(&format!(", {} were there already", self.already_there));
        }
        if self.put_right > 0 {
            message.push_str(&format!(
                ", mode, owner, time or attributes of {} were put right",
                entries(self.put_right)
            ));
        }
        if self.kept_aside > 0 {
            message.push_str(&format!(
                ", {} that differed are kept aside as NAME{aside}",
                self.kept_aside
            ));
        }
        if self.owners_left > 0 {
            message.push_str(&format!(
                ", {} belong to you because only root may give files away",
                self.owners_left
            ));
        }
        if self.unlisted > 0 {
            message.push_str(&format!(
                "; {} that the manifest does not list left alone",
                entries(self.unlisted)
            ));
        }
        let wrong = self.problem_count - self.unlisted;
        if wrong > 0 {
            message.push_str(&format!("; {} went wrong", paths(wrong)));
        }
        for note in self.notes() {
            message.push_str(&format!("\nnote: {note}"));
        }
        if self.problem_count == 0 {
            return Outcome::success(message);
        }
        let hint = self.hint(folder);
        Outcome {
            problems: self.problems,
            ..Outcome::unsuccessful(Status::Incomplete, message, hint)
        }
    }

    /// What to do about the problems.
    fn hint(&self, folder: &str) -> String {
        if self.damaged > 0 {
            "`backup list` shows other snapshots that may have these paths whole".to_owned()
        } else if self.unvouched > 0 {
            "where you know that it is as it should be, `--special` restores devices, set-id bits \
             and capabilities as they stand there"
                .to_owned()
        } else if self.unlisted == self.problem_count {
            format!(
                "somebody else put it into {folder}: look at it there; what is yours can be copied by hand"
            )
        } else {
            "look at the listed paths; running the same restore again tries them again".to_owned()
        }
    }
}

fn entries(count: u64) -> String {
    if count == 1 {
        "1 entry".into()
    } else {
        format!("{count} entries")
    }
}

fn files(count: u64) -> String {
    if count == 1 {
        "1 file".into()
    } else {
        format!("{count} files")
    }
}

fn paths(count: u64) -> String {
    if count == 1 {
        "1 path".into()
    } else {
        format!("{count} paths")
    }
}
