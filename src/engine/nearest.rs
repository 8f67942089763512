//! The destination that is meant where none was named: the nearest that has what is asked for.

use executor::{Error, ErrorKind, error::Result};
use planner::nearest::{Asked, Serves, explain, serves};
use schema::config::DestinationName;

use super::{Engine, Notice, Observer, destination::naming_error, remote::Ask};

impl Engine {
    /// The view of the nearest of several destinations that has what is asked for; `None` where there is one
    /// only, or one was chosen. Remotes are taken as they are known here; one of which nothing is known is
    /// asked.
    ///
    /// # Errors
    /// Why the first has it not, where none has; an interruption.
    pub(super) fn nearest(
        &self,
        asked: Asked<'_>,
        observer: &dyn Observer,
    ) -> Result<Option<Self>> {
        if self.named().is_empty() {
            return Ok(None);
        }
        let mut passed: Vec<(DestinationName, String)> = Vec::new();
        let mut first: Option<Error> = None;
        for (name, view) in self.views_with_snapshots() {
            let mut error = match view.look_for(asked, observer) {
                Ok(Serves::Yes) => {
                    if let Some(note) = explain(&name, &passed) {
                        observer.notice(&Notice::OtherTaken(&note));
                    }
                    return Ok(Some(view));
                }
                Ok(Serves::Unclear(refusal)) => return Err(naming_error(refusal)),
                Ok(Serves::No(refusal)) => naming_error(refusal),
                Err(error) if error.kind == ErrorKind::Interrupted => return Err(error),
                Err(error) => error,
            };
            error.message = self.config.in_words_of(&name, &error.message);
            error.hint = error.hint.map(|hint| self.config.in_words_of(&name, &hint));
            passed.push((name, error.message.clone()));
            first.get_or_insert(error);
        }
        let Some(mut first) = first else {
            return Ok(None);
        };
        if passed.len() > 1 {
            let all: Vec<String> = passed
                .iter()
                .map(|(name, because)| format!("{name}: {because}"))
                .collect();
            first.message = format!("none of the destinations serves: {}", all.join("; "));
        }
        Err(first)
    }

    /// The views of all destinations that have snapshots, the nearest first.
    pub(super) fn views_with_snapshots(&self) -> impl Iterator<Item = (DestinationName, Self)> {
        self.config.names().into_iter().filter_map(|name| {
            let view = self.of(&name)?;
            let is_base = name.as_str() == DestinationName::CLOUD;
            let has_any = !is_base && (view.config.local.enable || view.is_of_remote());
            has_any.then_some((name, view))
        })
    }

    fn look_for(&self, asked: Asked<'_>, observer: &dyn Observer) -> Result<Serves> {
        let known = self.known(Ask::IfUnknown, observer)?;
        let operation = known.unlogged(observer);
        let found = operation.destination_present()?;
        Ok(serves(asked, &found, operation.now))
    }
}
