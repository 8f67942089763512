//! What a restore came to, counted on the way and told at the end.

use schema::journal::{Outcome, Problem, Status};

/// Problems that are listed.
const LISTED: usize = 1000;

/// What a restore came to.
#[derive(Default)]
pub(super) struct Tally {
    problems: Vec<Problem>,
    problem_count: u64,
    /// What to say besides, in sentences.
    pub(super) notes: Vec<String>,
    /// Entries whose owner only root may set.
    pub(super) owners_left: u64,
    /// Entries that were made.
    pub(super) restored: u64,
    /// Entries that were there already.
    pub(super) already_there: u64,
    /// Entries that were renamed aside.
    pub(super) kept_aside: u64,
    /// Files that were read back and are as the manifest recorded them.
    pub(super) read_back: u64,
    /// Files whose content is not what the manifest recorded.
    pub(super) damaged: u64,
}

impl Tally {
    /// Adds a path that did not go as it should.
    pub(super) fn problem(&mut self, problem: Problem) {
        self.problem_count += 1;
        if self.problems.len() < LISTED {
            self.problems.push(problem);
        }
    }

    /// How the restore to this target ended.
    pub(super) fn outcome(self, target: &str, aside: &str) -> Outcome {
        let mut message = format!("restored {} to {target}", entries(self.restored));
        if self.read_back > 0 {
            message.push_str(&format!(
                ", {} read back and found as recorded",
                files(self.read_back)
            ));
        }
        if self.already_there > 0 {
            message.push_str(&format!(", {} were there already", self.already_there));
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
        if self.problem_count > 0 {
            message.push_str(&format!("; {} went wrong", paths(self.problem_count)));
        }
        for note in &self.notes {
            message.push_str(&format!("\nnote: {note}"));
        }
        if self.problem_count == 0 {
            return Outcome::success(message);
        }
        let hint = if self.damaged > 0 {
            "`backup list` shows other snapshots that may have these paths whole"
        } else {
            "look at the listed paths; running the same restore again tries them again"
        };
        Outcome {
            problems: self.problems,
            ..Outcome::not(Status::Incomplete, message, hint)
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
