//! SIGINT, SIGTERM and SIGHUP ask the run to stop soon; a second one ends it at once.

use std::sync::{Arc, atomic::AtomicBool};

use anyhow::{Context as _, Result};
use executor::event::Stop;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};

/// A request to stop that the signals make.
///
/// # Errors
/// Fails if the signals cannot be listened to.
pub(crate) fn stop_on_signals() -> Result<Stop> {
    let stop = Stop::default();
    let again = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // In this order: the first signal arms what the second finds armed.
        let number = usize::try_from(signal).unwrap_or(15);
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&again))
            .and_then(|_| flag::register(signal, Arc::clone(&again)))
            .and_then(|_| flag::register_usize(signal, stop.signal_cell(), number))
            .context("cannot listen to signals")?;
    }
    Ok(stop)
}
