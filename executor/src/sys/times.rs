//! Times that a file system cannot hold, and what it makes of them.
//!
//! Nothing tells the range of a file system; but what lies outside becomes its first or last time,
//! which are few, or on older kernels loses its upper bits.

/// Nanoseconds since 1970-01-01 UTC; negative before.
pub type Nanos = i128;

const SECOND: Nanos = 1_000_000_000;
/// File systems that hold local times shift their limits by the time zone.
const ZONES: Nanos = 14 * 3600;

/// Last seconds that file systems hold, and by how much they may be off.
const LAST: [(Nanos, Nanos); 7] = [
    // ext4 with inodes of 128 bytes, ext3, XFS without bigtime, and many servers.
    (0x7fff_ffff, 0),
    // NFS, and what else counts without a sign.
    (0xffff_ffff, 0),
    // HFS and HFS+, which count from 1904.
    (0xffff_ffff - 2_082_844_800, ZONES),
    // FAT and exFAT end with 2107.
    (4_354_819_199, ZONES),
    // ext4.
    (0x3_7fff_ffff, 0),
    // XFS with bigtime.
    (16_299_260_424, 0),
    // NTFS, by way of servers too.
    (1_833_029_933_770, 1),
];

/// The same for first seconds.
const FIRST: [(Nanos, Nanos); 5] = [
    (-0x8000_0000, 0),
    (0, 0),
    // FAT and exFAT begin with 1980.
    (315_532_800, ZONES),
    (-2_082_844_800, ZONES),
    (-11_644_473_600, 1),
];

/// Whether a file system that cannot hold a time gives back this one for it.
#[must_use]
pub fn is_limit_for(found: Nanos, given: Nanos) -> bool {
    let (second, wanted) = (found.div_euclid(SECOND), given.div_euclid(SECOND));
    let is = |limits: &[(Nanos, Nanos)]| {
        limits
            .iter()
            .any(|(limit, off)| (second - limit).abs() <= *off)
    };
    // Where the upper bits are cut off the rest is the same.
    let is_cut = (wanted - second).rem_euclid(1 << 32) == 0 && in_32_bits(second);
    (wanted > second && is(&LAST))
        || (wanted < second && is(&FIRST))
        || (wanted != second && is_cut)
}

fn in_32_bits(second: Nanos) -> bool {
    (-0x8000_0000..=0xffff_ffff).contains(&second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Nanos {
        let time: chrono::DateTime<chrono::Utc> = text.parse().unwrap();
        Nanos::from(time.timestamp()) * SECOND
    }

    #[test]
    fn the_ends_of_a_file_systems_range_stand_for_what_lies_outside() {
        for (found, given) in [
            ("2038-01-19T03:14:07Z", "2077-07-07T01:02:03Z"),
            ("1901-12-13T20:45:52Z", "1880-01-01T00:00:00Z"),
            ("2107-12-31T23:59:58Z", "2200-01-01T00:00:00Z"),
            // In the zone of Auckland.
            ("2107-12-31T10:59:58Z", "2200-01-01T00:00:00Z"),
            ("1980-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
            ("1979-12-31T23:00:00Z", "1970-01-01T00:00:00Z"),
            ("1970-01-01T00:00:00Z", "1960-01-01T00:00:00Z"),
            ("2446-05-10T22:38:55Z", "2500-01-01T00:00:00Z"),
            ("2040-02-06T06:28:15Z", "2077-07-07T01:02:03Z"),
        ] {
            assert!(is_limit_for(at(found), at(given)), "{found} for {given}");
            assert!(!is_limit_for(at(given), at(found)), "{given} for {found}");
        }
        // 2077 with its upper bits cut off, with and without a sign.
        let given = at("2077-07-07T01:02:03Z");
        assert!(is_limit_for(given - (SECOND << 32), given));
        assert!(is_limit_for(
            at("2200-01-01T00:00:00Z") - (SECOND << 32),
            at("2200-01-01T00:00:00Z")
        ));
    }

    #[test]
    fn another_time_is_no_limit() {
        for (found, given) in [
            ("2038-01-19T03:14:06Z", "2077-07-07T01:02:03Z"),
            ("2038-01-19T03:14:07Z", "2026-03-02T02:00:00Z"),
            ("2026-03-02T02:00:00Z", "2026-03-02T02:00:00Z"),
            ("2026-03-02T02:00:00Z", "2077-07-07T01:02:03Z"),
            ("1980-01-01T00:00:00Z", "2026-03-02T02:00:00Z"),
        ] {
            assert!(!is_limit_for(at(found), at(given)), "{found} for {given}");
        }
    }
}
