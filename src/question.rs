//! A line that a person types as the answer to a question.

use std::{
    io::{BufRead as _, stdin},
    sync::mpsc::{RecvTimeoutError, channel},
    time::Duration,
};

use anyhow::Result;
use executor::{Error, event::Stop, threads::start_thread};

use crate::out::Out;

/// How often a signal is looked for meanwhile.
const LOOK: Duration = Duration::from_millis(50);

/// Shows a question and reads the answer, without blanks around it; none where there is none, as after
/// Ctrl-D.
///
/// # Errors
/// Fails on a signal: reading a terminal is not interrupted by one. Fails if it cannot be read.
pub(crate) fn ask_line(question: &str, stop: &Stop, out: &Out) -> Result<Option<String>> {
    out.print_question(question);
    let (told, answer) = channel();
    // A thread that reads on when the program ends with it.
    start_thread("answer", move || {
        let mut line = String::new();
        let read = stdin().lock().read_line(&mut line);
        let _ = told.send(read.map(|length| (length > 0).then_some(line)));
    })?;
    loop {
        match answer.recv_timeout(LOOK) {
            Ok(line) => return Ok(line?.map(|line| line.trim().to_owned())),
            Err(RecvTimeoutError::Timeout) if stop.is_asked() => {
                // After the question and the sign of the key that was pressed.
                out.print_message("");
                return Err(Error::interrupted()
                    .with_hint("nothing was changed: do it again to be asked again")
                    .into());
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
        }
    }
}
