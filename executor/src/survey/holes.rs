//! Files that claim far more than they have on disk: how much of their holes is read in one run.
//!
//! A manifest has the SHA-256 of each file's content, and a hole's content is zeros: fifteen
//! tebibytes of them take hours, and anybody makes such a file with one call of ftruncate(2). So
//! there is a limit for each owner of files, and one for all owners without a name together
//! (`local.maxHolesGB`), and what is beyond it is left out
//! and told. Holes that are no more than some times what a file really has are never counted: who
//! may fill the disk with data makes as much work with that.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::File,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use schema::amount;

use crate::{
    copy::data_bytes,
    sys::{Dir, Kind, Stat, owners::accountable},
};

/// Holes of so many times what a file has on disk cost about as much as reading that from the disk.
const CHEAP: u64 = 8;
/// Holes that are not counted in any file.
const SLACK: u64 = 1 << 20;
/// From so many holes on it is looked at what is in a file: some file systems say of all files that
/// nothing is allocated.
const WORTH_A_LOOK: u64 = 1 << 30;

/// Bytes of holes of a file that count, because they are many times what it has on disk.
#[must_use]
pub(crate) fn excess_holes(stat: &Stat) -> u64 {
    if stat.kind != Kind::File {
        return 0;
    }
    excess_of(stat.size, stat.allocated)
}

fn excess_of(size: u64, allocated: u64) -> u64 {
    let holes = size.saturating_sub(allocated);
    let cheap = allocated.saturating_mul(CHEAP).saturating_add(SLACK);
    holes.saturating_sub(cheap)
}

/// Whether what a program has open, at its path below `/proc`, is a file of so many holes that another
/// program than this one has to be kept from reading it.
pub(crate) fn is_hollow(open: &Path) -> bool {
    let Ok(found) = open.metadata() else {
        return false;
    };
    let (size, allocated) = (found.len(), found.blocks().saturating_mul(512));
    if !found.is_file() || excess_of(size, allocated) < WORTH_A_LOOK {
        return false;
    }
    let mut options = File::options();
    options.read(true).custom_flags(nix::libc::O_NONBLOCK);
    let data = options.open(open).and_then(|file| data_bytes(&file, size));
    data.is_ok_and(|data| excess_of(size, data.max(allocated)) >= WORTH_A_LOOK)
}

/// Why a file of many holes is left out, in words that end a sentence.
pub(crate) fn left_out_reason(stat: &Stat) -> String {
    format!(
        "left out: {} of its {} are holes, and to read so many zeros takes too long for everybody \
         (local.maxHolesGB)",
        amount::bytes(stat.size.saturating_sub(stat.allocated)),
        amount::bytes(stat.size)
    )
}

/// Corrects what is allocated of a file that seems to consist of holes mostly, by asking where its
/// data is. What cannot be asked stays as it is.
pub(super) fn measure_data(dir: &Dir, name: &OsStr, stat: &mut Stat) {
    if excess_holes(stat) < WORTH_A_LOOK {
        return;
    }
    let Ok(file) = dir.file_here(name) else {
        return;
    };
    if Stat::of_fd(&file).is_ok_and(|found| found.same_inode(stat))
        && let Ok(data) = data_bytes(&file, stat.size)
    {
        stat.allocated = stat.allocated.max(data);
    }
}

/// How many bytes of holes may still be read of each owner's files.
#[derive(Debug)]
pub(crate) struct HoleBudget {
    limit: u64,
    spent: HashMap<Option<u32>, u64>,
}

impl HoleBudget {
    /// At most so many bytes of the files of each owner.
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            limit,
            spent: HashMap::new(),
        }
    }

    /// Whether a file may be read, which then counts.
    pub(crate) fn takes(&mut self, stat: &Stat) -> bool {
        self.takes_bytes(stat.uid, excess_holes(stat))
    }

    /// Whether the holes that a file has got since it was judged may be read as well: `opened` is what it
    /// is now, and `judged` what it was.
    pub(crate) fn takes_growth(&mut self, file: &File, opened: &Stat, judged: &Stat) -> bool {
        let judged = excess_holes(judged);
        let grown = |opened: &Stat| excess_holes(opened).saturating_sub(judged);
        if grown(opened) == 0 {
            return true;
        }
        let mut opened = *opened;
        if let Ok(data) = data_bytes(file, opened.size) {
            opened.allocated = opened.allocated.max(data);
        }
        self.takes_bytes(opened.uid, grown(&opened))
    }

    fn takes_bytes(&mut self, uid: u32, excess: u64) -> bool {
        if excess == 0 {
            return true;
        }
        let spent = self.spent.entry(accountable(uid)).or_default();
        let sum = spent.saturating_add(excess);
        let fits = sum <= self.limit;
        if fits {
            *spent = sum;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn file(uid: u32, size: u64, allocated: u64) -> Stat {
        Stat {
            kind: Kind::File,
            uid,
            size,
            allocated,
            ..Stat::of_nothing()
        }
    }

    #[test]
    fn what_a_file_has_pays_for_its_holes() {
        assert_eq!(excess_holes(&file(1, 500 * GIB, 60 * GIB)), 0);
        assert_eq!(excess_holes(&file(1, 9 * GIB, GIB)), 0);
        assert_eq!(excess_holes(&file(1, SLACK, 0)), 0);
        assert_eq!(excess_holes(&file(1, GIB + SLACK, 0)), GIB);
        let folder = Stat {
            kind: Kind::Folder,
            ..file(1, 500 * GIB, 0)
        };
        assert_eq!(excess_holes(&folder), 0);
    }

    #[test]
    fn one_owner_uses_up_his_own_budget_and_no_others() {
        let mut budget = HoleBudget::new(10 * GIB);
        let [one, other] = [4_000_000_001, 4_000_000_002];
        assert!(!budget.takes(&file(one, u64::MAX, 0)));
        assert!(budget.takes(&file(one, 8 * GIB, 0)), "what fits still fits");
        assert!(!budget.takes(&file(one, 8 * GIB, 0)));
        assert!(!budget.takes(&file(other, 8 * GIB, 0)), "none has a name");
        assert!(budget.takes(&file(one, 8 * GIB, GIB)), "no excess");
        assert!(budget.takes(&file(0, 8 * GIB, 0)), "root has a name");
    }

    #[test]
    fn holes_that_come_after_a_file_was_judged_count_by_themselves() {
        let temporary = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = temporary.path().join("file");
        let opened = File::create_new(&path).unwrap();
        let now = |size: u64| {
            opened.set_len(size).unwrap();
            Stat::of_fd(&opened).unwrap()
        };
        let judged = now(5 * GIB);
        let mut budget = HoleBudget::new(2 * GIB);
        assert!(budget.takes_growth(&opened, &judged, &judged));
        assert!(budget.takes_growth(&opened, &now(4 * GIB), &judged));
        assert!(budget.takes_growth(&opened, &now(6 * GIB), &judged));
        assert!(
            !budget.takes_growth(&opened, &now(7 * GIB), &judged),
            "1 and 2"
        );
        assert!(!budget.takes_growth(&opened, &now(4 << 40), &judged));
        // Whoever reads it has it open.
        use std::os::fd::AsRawFd as _;
        let open = format!("/proc/self/fd/{}", opened.as_raw_fd());
        assert!(is_hollow(Path::new(&open)));
        // Of what the file system says of all files, nothing is held against one.
        use std::os::unix::fs::FileExt as _;
        opened.set_len(0).unwrap();
        opened.write_all_at(&[1; 4 << 20], 0).unwrap();
        let not_counted = Stat {
            allocated: 0,
            ..Stat::of_fd(&opened).unwrap()
        };
        let mut none = HoleBudget::new(0);
        assert!(none.takes_growth(&opened, &not_counted, &file(0, 0, 0)));
        assert!(!is_hollow(Path::new(&open)));
    }

    #[test]
    fn data_that_a_file_system_does_not_count_is_found() {
        use std::os::unix::fs::FileExt as _;
        let temporary = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = temporary.path().join("file");
        let file = File::create_new(&path).unwrap();
        file.write_all_at(&[1; 64 << 10], 0).unwrap();
        file.set_len(2 * GIB).unwrap();
        let dir = crate::sys::resolve::resolve(temporary.path()).unwrap();
        let dir = dir.folder().unwrap();
        let mut stat = Stat {
            allocated: 0,
            ..dir.stat("file".as_ref()).unwrap()
        };
        measure_data(&dir, "file".as_ref(), &mut stat);
        assert_eq!(stat.allocated, 64 << 10);
    }
}
