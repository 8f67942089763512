//! Starting threads, of which a user or a unit may have only so many (`ulimit -u`, `TasksMax`).
//!
//! Owns the one way to start one: the standard library's own panics where the system refuses. Who
//! can do without goes on with fewer; who cannot ends with an error that says so.

use std::{
    io,
    thread::{Builder, JoinHandle, Scope, ScopedJoinHandle},
};

use crate::error::{Error, Result, system_reason};

/// Starts a thread.
///
/// # Errors
/// That the system lets none start.
pub fn start_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>> {
    let started = Builder::new().name(name.to_owned()).spawn(work);
    started.map_err(|error| no_thread_error(&error))
}

/// Starts a thread that ends with its scope.
///
/// # Errors
/// That the system lets none start.
pub fn start_scoped_thread<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>> {
    let started = Builder::new()
        .name(name.to_owned())
        .spawn_scoped(scope, work);
    started.map_err(|error| no_thread_error(&error))
}

/// Whether a thread can be started now: for work by others that would panic without one.
///
/// # Errors
/// That the system lets none start.
pub fn can_start_thread() -> Result<()> {
    let _ = start_thread("trial", || ())?.join();
    Ok(())
}

fn no_thread_error(error: &io::Error) -> Error {
    Error::failed(format!("cannot start a thread: {}", system_reason(error))).hint(
        "the user or the unit may have too few processes: raise `ulimit -u`, or `TasksMax=` of the \
         unit, or end other programs",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_says_what_is_lacking_and_what_to_raise() {
        let error = no_thread_error(&io::Error::from(rustix::io::Errno::AGAIN));
        assert_eq!(
            error.message,
            "cannot start a thread: resource temporarily unavailable"
        );
        assert!(error.hint.unwrap().contains("TasksMax="));
        assert_eq!(start_thread("five", || 5).unwrap().join().unwrap(), 5);
        can_start_thread().unwrap();
    }
}
