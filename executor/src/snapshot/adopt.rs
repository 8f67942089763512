//! When a file that another program copied is as good as a copy of our own.

use schema::record::Capabilities;

use crate::sys::{
    Kind, Stat,
    stat::{Nanos, same_time},
};

/// Whether a file in the new tree can be taken for the content of its source, so that it need only
/// be read once for its digest. Owner, mode and attributes are not asked for: they come later.
///
/// `began` is when the copying program began to look at the sources. A source that changed since
/// may have been read before or after; the kernel moves `ctime` with any change, so no such source
/// passes. A file with more names than the one it was made with may be shared with something else.
pub(super) fn is_a_copy(copy: &Stat, source: &Stat, began: Nanos, can: &Capabilities) -> bool {
    (copy.kind, source.kind) == (Kind::File, Kind::File)
        && source.ctime < began
        && copy.size == source.size
        && (!can.times || same_time(copy.mtime, source.mtime, can.time_step_ns))
        && copy.nlink <= 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_copy_with_the_looks_of_a_source_at_rest_is_taken() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("file");
        std::fs::write(&path, "x").unwrap();
        let mut source = crate::sys::resolve::resolve(&path).unwrap().stat;
        // Not round: a time a nanosecond beside a round one is taken for it cut to its step.
        source.mtime = 1_700_000_000_123_456_789;
        let copy = source;
        let began = source.ctime + 1;
        let mut can = Capabilities::of_type("exfat").unwrap();
        can.time_step_ns = 1;
        let ok = |copy: &Stat, source: &Stat| is_a_copy(copy, source, began, &can);
        assert!(ok(&copy, &source));
        let at = |change: fn(&mut Stat)| {
            let mut changed = copy;
            change(&mut changed);
            changed
        };
        for changed in [
            at(|stat| stat.size += 1),
            at(|stat| stat.mtime += 1),
            at(|stat| stat.kind = Kind::Fifo),
            at(|stat| stat.nlink += 1),
        ] {
            assert!(!ok(&changed, &source), "{changed:?}");
        }
        // Changed after the copying began, whatever it looks like.
        assert!(!ok(&copy, &at(|stat| stat.ctime += 1)));
        // Metadata comes later, and times as far as the destination holds them.
        can.time_step_ns = 1_000_000_000;
        let other = at(|stat| (stat.mode, stat.uid, stat.mtime) = (0, 7, stat.mtime - 999));
        assert!(is_a_copy(&other, &source, began, &can));
    }
}
