//! Which inode number stands for which names in the folder below.

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use fuser::{Errno, INodeNo};

/// The numbers given out. Names are kept as paths relative to the folder below.
#[derive(Debug)]
pub(super) struct Nodes {
    /// Numbers are counted from the mount on, and not those of the folder below.
    counted: bool,
    /// Each name has a number of its own.
    apart: bool,
    next: u64,
    numbers: HashMap<(u64, PathBuf), u64>,
    names: HashMap<u64, Vec<PathBuf>>,
    /// How often a number went to another file, which the kernel must know.
    generations: HashMap<u64, u64>,
}

impl Nodes {
    pub(super) fn new(counted: bool, apart: bool) -> Self {
        Self {
            counted,
            apart,
            next: 2,
            numbers: HashMap::new(),
            names: HashMap::from([(1, vec![PathBuf::new()])]),
            generations: HashMap::new(),
        }
    }

    /// The number of a name.
    pub(super) fn number(&mut self, path: &Path, metadata: &fs::Metadata) -> u64 {
        if path.as_os_str().is_empty() {
            return 1;
        }
        let own_name = if self.apart { path } else { Path::new("") };
        let key = (metadata.ino(), own_name.to_owned());
        let number = *self.numbers.entry(key).or_insert_with(|| {
            self.next += 1;
            if self.counted || self.apart {
                self.next
            } else {
                metadata.ino()
            }
        });
        let names = self.names.entry(number).or_default();
        if !names.iter().any(|name| name == path) {
            names.push(path.to_owned());
        }
        number
    }

    /// A name of a number.
    pub(super) fn path(&self, number: INodeNo) -> Result<PathBuf, Errno> {
        let names = self.names.get(&number.0);
        names
            .and_then(|names| names.first().cloned())
            .ok_or(Errno::ENOENT)
    }

    pub(super) fn generation(&self, number: u64) -> u64 {
        self.generations.get(&number).copied().unwrap_or_default()
    }

    /// A name is gone.
    pub(super) fn removed(&mut self, path: &Path) {
        for (number, names) in &mut self.names {
            names.retain(|name| name != path);
            if names.is_empty() {
                self.numbers.retain(|_, other| other != number);
                *self.generations.entry(*number).or_default() += 1;
            }
        }
        self.names.retain(|_, names| !names.is_empty());
    }

    /// A name is another one now, and with it all that is below it.
    pub(super) fn renamed(&mut self, from: &Path, to: &Path) {
        self.removed(to);
        for names in self.names.values_mut() {
            for name in names {
                if let Ok(below) = name.strip_prefix(from) {
                    *name = if below.as_os_str().is_empty() {
                        to.to_owned()
                    } else {
                        to.join(below)
                    };
                }
            }
        }
        if self.apart {
            let old = std::mem::take(&mut self.numbers);
            self.numbers = old
                .into_iter()
                .map(|((ino, name), number)| match name.strip_prefix(from) {
                    Ok(below) if below.as_os_str().is_empty() => ((ino, to.to_owned()), number),
                    Ok(below) => ((ino, to.join(below)), number),
                    Err(_) => ((ino, name), number),
                })
                .collect();
        }
    }
}
