//! What is read while the file system is mounted, and what happens at such a moment.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fmt,
    path::Path,
    sync::Mutex,
};

/// What is read.
#[derive(Debug, Default)]
pub(crate) struct Reads(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    bytes: u64,
    /// How often files of a name were opened to be read.
    opened: HashMap<OsString, u64>,
    moment: Option<Moment>,
}

/// What is done when a file of this name is opened to be read once more.
struct Moment {
    name: OsString,
    left: u64,
    then: Box<dyn FnOnce() + Send>,
}

impl fmt::Debug for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} in {}", self.name, self.left)
    }
}

impl Reads {
    /// Bytes that were read since the last look.
    pub(crate) fn take_bytes(&self) -> u64 {
        std::mem::take(&mut self.0.lock().unwrap().bytes)
    }

    /// How often files of a name were opened to be read.
    pub(crate) fn opened(&self, name: &str) -> u64 {
        let state = self.0.lock().unwrap();
        state.opened.get(OsStr::new(name)).copied().unwrap_or(0)
    }

    /// Has something done, once, when a file of this name is opened to be read for the nth time from now on.
    pub(crate) fn at_opening(&self, name: &str, nth: u64, then: impl FnOnce() + Send + 'static) {
        self.0.lock().unwrap().moment = Some(Moment {
            name: name.into(),
            left: nth,
            then: Box::new(then),
        });
    }

    pub(super) fn open(&self, path: &Path) {
        let name = path.file_name().unwrap_or_default();
        let mut state = self.0.lock().unwrap();
        *state.opened.entry(name.to_owned()).or_default() += 1;
        let moment = state.moment.as_mut().filter(|moment| moment.name == name);
        let Some(moment) = moment else {
            return;
        };
        moment.left -= 1;
        if moment.left == 0
            && let Some(moment) = state.moment.take()
        {
            drop(state);
            (moment.then)();
        }
    }

    pub(super) fn read(&self, bytes: usize) {
        self.0.lock().unwrap().bytes += bytes as u64;
    }
}
