//! Where a manifest is cut: at places that its paths tell, so that what comes or goes in one place moves
//! no border in another.
//!
//! Rather before a folder, inside a giant folder before any entry. The choice is the writer's alone: a
//! reader needs none of this, and another choice costs one whole manifest.

use super::path_of;

/// Fewest entries of a segment, but for the first and the last one.
pub(super) const FEWEST: usize = 512;
/// Most entries of a segment.
pub(super) const MOST: usize = 4096;
/// A segment that has so many bytes as text ends, too.
pub(super) const ENOUGH: usize = 1 << 20;

/// One of so many folders begins a segment, where one may begin, and of other entries one of so many.
const FOLDERS: u64 = 32;
const OTHERS: u64 = 512;

/// Whether a segment of so many entries and bytes ends before this line.
///
/// The snapshot's own entry, whose time is another one each time, is a segment by itself.
pub(super) fn is_border(entries: usize, bytes: usize, is_first: bool, line: &[u8]) -> bool {
    if is_first || entries >= MOST || bytes >= ENOUGH {
        return entries > 0;
    }
    if entries < FEWEST {
        return false;
    }
    let path = path_of(line);
    let one_of = match line[path.len()..].starts_with(b" type=dir") {
        true => FOLDERS,
        false => OTHERS,
    };
    mix(path).is_multiple_of(one_of)
}

/// A number that says little of the path and is the same for ever.
fn mix(path: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut mixed = path.len() as u64;
    for part in path.chunks(8) {
        let mut word = [0; 8];
        word[..part.len()].copy_from_slice(part);
        mixed = (mixed.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(FACTOR);
    }
    mixed ^= mixed >> 32;
    mixed = mixed.wrapping_mul(FACTOR);
    mixed >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(lines: impl Iterator<Item = String>) -> Vec<usize> {
        let (mut all, mut entries, mut bytes) = (Vec::new(), 0, 0);
        for line in lines {
            if is_border(entries, bytes, false, line.as_bytes()) {
                all.push(entries);
                (entries, bytes) = (0, 0);
            }
            (entries, bytes) = (entries + 1, bytes + line.len());
        }
        all.push(entries);
        all
    }

    fn check(lengths: &[usize]) {
        let inner = &lengths[..lengths.len() - 1];
        assert!(inner.iter().all(|length| (FEWEST..=MOST).contains(length)));
        let mean = inner.iter().sum::<usize>() / inner.len();
        assert!((600..1400).contains(&mean), "{mean}");
    }

    #[test]
    fn segments_of_giant_folders_and_of_many_small_ones_are_of_a_size() {
        let giant = (0..200_000).map(|n| format!("./home/mail/{n:09} type=file mode=0644"));
        check(&lengths(giant));
        let small = (0..20_000).flat_map(|folder| {
            let files = (0..9).map(move |n| format!("./home/{folder:06}/{n} type=file mode=0644"));
            std::iter::once(format!("./home/{folder:06} type=dir mode=0755")).chain(files)
        });
        check(&lengths(small));
    }

    #[test]
    fn long_lines_end_a_segment_early() {
        let long = "x".repeat(200 << 10);
        let lines = (0..60).map(|n| format!("./{n:09} type=file xattr.user.a={long}"));
        assert!(lengths(lines).iter().all(|length| *length <= 6));
    }

    #[test]
    fn what_a_path_is_mixed_to_never_changes() {
        assert_eq!(mix(b"./home/ann/a"), 166_587_734);
        assert_eq!(mix(b"."), 2_872_768_117);
    }
}
