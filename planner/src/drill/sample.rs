//! Which files a drill reads: others each time, and never more than can be read soon.

use std::collections::BTreeMap;

use schema::drill::SampleFile;

/// Most files that are read.
const MOST_FILES: usize = 200;
/// Most bytes that are read, if there is anything as small.
const MOST_BYTES: u64 = 256 << 20;
/// The same of a remote, where what is read is downloaded and restored.
const MOST_FILES_FAR: usize = 50;
const MOST_BYTES_FAR: u64 = 64 << 20;
/// How many times as many files are kept while it is chosen, so that enough small ones are among them.
const KEPT: usize = 4;

/// Chooses files as they are met: those with the smallest numbers of a hash of their path, which differs from
/// drill to drill.
#[derive(Debug)]
pub struct SampleChooser {
    seed: u64,
    most: (usize, u64),
    kept: BTreeMap<(u64, String), SampleFile>,
    smallest: Option<SampleFile>,
    files: u64,
}

impl SampleChooser {
    /// One whose choice follows from this number.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            most: (MOST_FILES, MOST_BYTES),
            kept: BTreeMap::new(),
            smallest: None,
            files: 0,
        }
    }

    /// The same for a remote: fewer files, and less of them.
    #[must_use]
    pub fn of_remote(seed: u64) -> Self {
        Self {
            most: (MOST_FILES_FAR, MOST_BYTES_FAR),
            ..Self::new(seed)
        }
    }

    /// Meets a regular file; `stored` is its path, and `file` what is to be known of it.
    pub fn offer(&mut self, stored: &[u8], size: u64, file: impl FnOnce() -> SampleFile) {
        self.files += 1;
        let number = number_of(self.seed, stored);
        let is_smallest = self.smallest.as_ref().is_none_or(|one| size < one.size);
        let last = self.kept.last_key_value().map(|((last, _), _)| *last);
        let (most_files, most_bytes) = self.most;
        let kept = KEPT * most_files;
        let fits = size <= most_bytes;
        let is_wanted = fits && (self.kept.len() < kept || last.is_some_and(|last| number < last));
        if !is_smallest && !is_wanted {
            return;
        }
        let file = file();
        if is_smallest {
            self.smallest = Some(file.clone());
        }
        if is_wanted {
            self.kept.insert((number, file.path.clone()), file);
            if self.kept.len() > kept {
                self.kept.pop_last();
            }
        }
    }

    /// The files, and how many were met. There is one if any was met, however large.
    #[must_use]
    pub fn choose(self) -> (Vec<SampleFile>, u64) {
        let (most_files, most_bytes) = self.most;
        let mut bytes = 0_u64;
        let mut chosen: Vec<SampleFile> = Vec::new();
        for file in self.kept.into_values() {
            let more = bytes.saturating_add(file.size);
            if chosen.len() < most_files && more <= most_bytes {
                bytes = more;
                chosen.push(file);
            }
        }
        if chosen.is_empty() {
            chosen.extend(self.smallest);
        }
        (chosen, self.files)
    }
}

/// A number that looks random (FNV-1a, with the finish of MurmurHash3).
fn number_of(seed: u64, path: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ seed;
    for byte in path {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use schema::Digest;

    use super::*;

    fn choose(seed: u64, sizes: &[u64]) -> Vec<String> {
        let mut chooser = SampleChooser::new(seed);
        for (at, size) in sizes.iter().enumerate() {
            let path = format!("home/{at}");
            chooser.offer(path.as_bytes(), *size, || SampleFile {
                path: path.clone(),
                size: *size,
                digest: Digest::of(b""),
            });
        }
        let (files, met) = chooser.choose();
        assert_eq!(met, sizes.len() as u64);
        files.into_iter().map(|file| file.path).collect()
    }

    #[test]
    fn few_files_are_all_read_and_of_many_others_each_time() {
        let mut few = choose(1, &[10; 50]);
        few.sort();
        few.dedup();
        assert_eq!(few.len(), 50);
        let many = vec![10; 5000];
        let (one, same, other) = (choose(1, &many), choose(1, &many), choose(2, &many));
        assert_eq!(one.len(), MOST_FILES);
        assert_eq!(one, same);
        let both = other.iter().filter(|path| one.contains(path)).count();
        assert!(both < MOST_FILES / 4, "{both}");
    }

    #[test]
    fn no_more_is_read_than_fits_unless_nothing_does() {
        let large = MOST_BYTES / 2 + 1;
        assert_eq!(choose(1, &[large; 10]).len(), 1);
        assert_eq!(choose(1, &[large, 10, large, 10]).len(), 3);
        let huge = MOST_BYTES + 1;
        assert_eq!(choose(1, &[huge + 5, huge, huge + 9]), ["home/1"]);
        assert_eq!(choose(1, &[]), [""; 0]);
    }
}
