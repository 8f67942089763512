//! Files on which another program holds a lease (fcntl(2), `F_SETLEASE`), as file servers do on what
//! their clients keep in memory.
//!
//! The first attempt to open such a file asks its holder to give the lease up, and fails at once,
//! because nothing here opens a file in a way that can wait for ever. So it is tried again for a
//! while. The kernel takes a lease away after `/proc/sys/fs/lease-break-time`, 45 s by default, and
//! whoever may hold one may take another: the waiting is limited in all, for each owner of files
//! and for all owners without a name together, so that nobody can hold up the files of others with his
//! own.

use std::{
    collections::HashMap,
    fs::File,
    sync::{Mutex, MutexGuard, PoisonError},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::io::Errno;

use crate::{error::Result, sys::owners::accountable};

/// How long the files of one owner are waited for in all. Samba gives its client 30 s to write back
/// what it has in memory (`OPLOCK_BREAK_TIMEOUT`).
const PATIENCE: Duration = Duration::from_secs(32);
/// Pauses between attempts, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));

/// How long the files of each owner were waited for in one piece of work.
#[derive(Debug, Default)]
pub(crate) struct LeasePatience {
    waited: Mutex<HashMap<Option<u32>, Duration>>,
}

impl LeasePatience {
    /// Opens a file of this owner, again and again while another program has a lease on it and there
    /// is patience left. `check` is called between attempts.
    ///
    /// # Errors
    /// What `check` says. The inner one is why the file cannot be opened; `EAGAIN` if the lease is
    /// not given up.
    pub(crate) fn open(
        &self,
        owner: u32,
        check: &mut dyn FnMut() -> Result<()>,
        mut open: impl FnMut() -> std::result::Result<File, Errno>,
    ) -> Result<std::result::Result<File, Errno>> {
        let (mut pause, longest) = PAUSES;
        loop {
            let opened = open();
            if !matches!(opened, Err(Errno::AGAIN)) {
                return Ok(opened);
            }
            let owner = accountable(owner);
            if self.is_over(owner) {
                return Ok(opened);
            }
            check()?;
            let began = Instant::now();
            sleep(pause);
            *self.waited().entry(owner).or_default() += began.elapsed();
            pause = (pause * 2).min(longest);
        }
    }

    fn is_over(&self, owner: Option<u32>) -> bool {
        let waited = self.waited();
        waited.get(&owner).is_some_and(|waited| *waited >= PATIENCE)
    }

    fn waited(&self) -> MutexGuard<'_, HashMap<Option<u32>, Duration>> {
        self.waited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a file could not be opened, in words that end a sentence.
pub(crate) fn open_reason(error: Errno) -> String {
    match error {
        Errno::AGAIN => format!(
            "another program holds a lease on it (fcntl F_SETLEASE) and did not give it up within \
             {} s",
            PATIENCE.as_secs()
        ),
        Errno::XDEV => "something was mounted over it meanwhile".to_owned(),
        error => crate::error::system_reason(&error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    /// A user with a name, and a number without one.
    const ROOT: u32 = 0;
    const NOBODYS: u32 = 4_000_000_001;

    fn patience_after(waited: Duration) -> LeasePatience {
        let patience = LeasePatience::default();
        patience.waited().insert(None, waited);
        patience
    }

    #[test]
    fn a_lease_that_is_given_up_is_waited_for_and_any_other_error_is_not() {
        let mut tries = 0;
        let opened = LeasePatience::default().open(ROOT, &mut || Ok(()), || {
            tries += 1;
            match tries {
                1..=3 => Err(Errno::AGAIN),
                _ => Err(Errno::ACCESS),
            }
        });
        assert_eq!(opened.unwrap().unwrap_err(), Errno::ACCESS);
        assert_eq!(tries, 4);
    }

    #[test]
    fn the_waiting_ends_for_all_without_a_name_and_not_for_one_who_has_one() {
        let patience = patience_after(PATIENCE);
        let mut tries = 0;
        let opened = patience.open(NOBODYS, &mut || Ok(()), || {
            tries += 1;
            Err(Errno::AGAIN)
        });
        assert_eq!((opened.unwrap().unwrap_err(), tries), (Errno::AGAIN, 1));
        let ended = patience.open(ROOT, &mut || Err(Error::interrupted()), || {
            Err(Errno::AGAIN)
        });
        assert!(ended.is_err(), "asked to stop while it waits");
    }
}
