//! Counts what a restore comes to on the way, and tells it at the end.

use super::metadata::Limits;
use schema::{
    escape,
    journal::{Outcome, Problem, ProblemKind, Status},
    plan::RestoreStep,
};

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
    /// Those of them that are copies of what they should be hard links of.
    pub(super) apart: u64,
    /// Entries that were there already, as copies of what they should be hard links of.
    pub(super) stand_apart: u64,
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
    /// Files and folders that could not be read back.
    not_read_back: u64,
    /// Files whose content is not what the manifest recorded.
    pub(super) damaged: u64,
}

/// Entries of which something beside the content cannot be held.
#[derive(Default)]
pub(super) struct LimitCounts {
    owners: u64,
    modes: u64,
    times: u64,
    attributes: u64,
    links: u64,
}

impl LimitCounts {
    pub(super) fn add(&mut self, limits: Limits) {
        self.owners += u64::from(limits.owner);
        self.modes += u64::from(limits.mode);
        self.times += u64::from(limits.time);
        self.attributes += u64::from(limits.attributes);
        self.links += u64::from(limits.link);
    }

    fn note(&self) -> Option<String> {
        let all = [
            (self.owners, "owner"),
            (self.modes, "mode"),
            (self.times, "time"),
            (self.attributes, "attributes"),
            (self.links, "hard link"),
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
        if self.stand_apart > 0 {
            let (are, them) = match self.stand_apart {
                1 => ("1 name that was there is a copy of a file".to_owned(), "it"),
                count => (
                    format!("{count} names that were there are copies of files"),
                    "them",
                ),
            };
            notes.push(format!(
                "{are} whose hard link the snapshot has: remove {them} and run the same restore again to \
                 have {them} linked"
            ));
        }
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

    /// Adds a path that could not be read back, unless something of it was told already.
    pub(super) fn not_read_back(&mut self, problem: Problem) {
        let is_told = self.problems.iter().any(|told| told.path == problem.path);
        // Nobody knows any more what was told of those that are only counted.
        if !is_told && self.problem_count <= LISTED as u64 {
            self.not_read_back += 1;
            self.problem(problem);
        }
    }

    /// How the restore to this target ended.
    pub(super) fn outcome(mut self, folder: &str, target: &str, aside: &str) -> Outcome {
        let mut message = restored(self.restored, folder, target);
        if self.read_back > 0 {
            message.push_str(&format!(
                ", {} read back and found as recorded",
                files(self.read_back)
            ));
        }
        if self.already_there > 0 {
            message.push_str(&were_there(self.already_there));
        }
        if self.put_right > 0 {
            message.push_str(&were_put_right(self.put_right));
        }
        if self.kept_aside > 0 {
            message.push_str(&were_kept(self.kept_aside, aside));
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
            "where you know that it is as it should be, `backup ... --special` restores devices, set-id \
             bits and capabilities as they stand there"
                .to_owned()
        } else if self.unlisted == self.problem_count {
            format!(
                "somebody else put it into {folder}: look at it there; what is yours can be copied by hand"
            )
        } else if self.not_read_back == self.problem_count {
            "all is restored; the same restore again reads it and compares".to_owned()
        } else if self.apart == self.problem_count {
            "remove these copies and run the same restore again: what is missing is linked then"
                .to_owned()
        } else {
            "look at the listed paths; running the same restore again tries them again".to_owned()
        }
    }
}

/// What a restore says at its end, less what the plan of this one said that was shown before.
#[must_use]
pub fn without_foretold(message: &str, step: &RestoreStep) -> String {
    let target = escape::unescape(&step.target).unwrap_or_default();
    let begin = restored(step.creates, &step.folder, &escape::display(&target));
    let Some(rest) = message.strip_prefix(&*begin) else {
        return message.to_owned();
    };
    let mut rest = rest.to_owned();
    for told in [
        were_there(step.already_there),
        were_put_right(step.put_right_count),
        were_kept(step.conflict_count, &step.aside_suffix),
    ] {
        rest = rest.replacen(&told, "", 1);
    }
    format!("restored as shown{rest}")
}

fn restored(count: u64, folder: &str, target: &str) -> String {
    format!("restored {} from {folder} to {target}", entries(count))
}

fn were_there(count: u64) -> String {
    format!(", {count} were there already")
}

fn were_put_right(count: u64) -> String {
    format!(
        ", mode, owner, time or attributes of {} were put right",
        entries(count)
    )
}

fn were_kept(count: u64, aside: &str) -> String {
    format!(", {count} that differed are kept aside as NAME{aside}")
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

#[cfg(test)]
mod tests {
    use super::*;

    fn step() -> RestoreStep {
        serde_json::from_value(serde_json::json!({
            "folder": "daily/2025-01-16_02-00-00",
            "path": "home",
            "target": "/a\\040b",
            "creates": 2,
            "bytes": 9,
            "already_there": 1,
            "overwrite": true,
            "aside_suffix": ".before-x",
            "conflicts": ["a"],
            "conflict_count": 1,
        }))
        .unwrap()
    }

    #[test]
    fn what_was_foretold_is_not_said_again() {
        let said = |restored, already_there| {
            let tally = Tally {
                restored,
                already_there,
                kept_aside: 1,
                read_back: 2,
                ..Tally::default()
            };
            let outcome = tally.outcome("daily/2025-01-16_02-00-00", "/a b", ".before-x");
            without_foretold(&outcome.message, &step())
        };
        assert_eq!(
            said(2, 1),
            "restored as shown, 2 files read back and found as recorded"
        );
        assert!(
            said(2, 3).contains("3 were there already"),
            "{}",
            said(2, 3)
        );
        assert!(
            said(1, 1).starts_with("restored 1 entry from"),
            "{}",
            said(1, 1)
        );
    }
}
