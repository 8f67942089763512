//! Asking a person whether something may be done.

use std::io::IsTerminal as _;

use anyhow::Result;
use executor::Error;

use crate::{out::Out, question, settings::Settings};

/// Asks whether what was shown may be done, with `question`; `alone` says why nobody is asked where
/// there is no terminal.
///
/// # Errors
/// Refused unless the answer is yes.
pub(crate) fn ask_person(
    question: &str,
    alone: &str,
    settings: &Settings,
    out: &Out,
) -> Result<()> {
    let refused = |message: &str| {
        Error::refused(message.to_owned()).hint("`backup ... --yes` does it without a question")
    };
    if settings.json || !std::io::stdin().is_terminal() {
        return Err(refused(alone).into());
    }
    let answer = question::ask_line(&format!("{question} [y/N] "), &settings.stop, out)?;
    let answer = answer.unwrap_or_default().to_lowercase();
    if matches!(answer.as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(refused("nothing was changed").into())
}
