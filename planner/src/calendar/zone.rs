//! Names of time zones in calendar expressions.
//!
//! Owns the shape of a name. It must not look into the time zone database, which is files of the
//! machine: whether a well-shaped name is in it shows when systemd reads the timer.

/// The time zone of an expression.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Zone {
    /// The machine's.
    Local,
    /// `UTC`, in any case of letters.
    Utc,
    /// A name of the IANA time zone database, as written.
    Named(String),
}

/// The areas of the IANA time zone database. A place stands below each.
const AREAS: [&str; 17] = [
    "Africa",
    "America",
    "Antarctica",
    "Arctic",
    "Asia",
    "Atlantic",
    "Australia",
    "Brazil",
    "Canada",
    "Chile",
    "Etc",
    "Europe",
    "Indian",
    "Mexico",
    "Pacific",
    "SystemV",
    "US",
];

/// The names of the database that stand without an area. It grows no more of them.
const ALONE: [&str; 46] = [
    "CET",
    "CST6CDT",
    "Cuba",
    "EET",
    "EST",
    "EST5EDT",
    "Egypt",
    "Eire",
    "Factory",
    "GB",
    "GB-Eire",
    "GMT",
    "GMT+0",
    "GMT-0",
    "GMT0",
    "Greenwich",
    "HST",
    "Hongkong",
    "Iceland",
    "Iran",
    "Israel",
    "Jamaica",
    "Japan",
    "Kwajalein",
    "Libya",
    "MET",
    "MST",
    "MST7MDT",
    "NZ",
    "NZ-CHAT",
    "Navajo",
    "PRC",
    "PST8PDT",
    "Poland",
    "Portugal",
    "ROC",
    "ROK",
    "Singapore",
    "Turkey",
    "UCT",
    "UTC",
    "Universal",
    "W-SU",
    "WET",
    "Zulu",
    "localtime",
];

/// Whether `name` has the shape of a time zone's name: one that stands alone, or a known area and
/// places below it, each beginning with a capital letter as they all do.
pub(super) fn is_zone_name(name: &str) -> bool {
    // The variants of the database, with and without leap seconds.
    let name = ["posix/", "right/"]
        .iter()
        .find_map(|variant| name.strip_prefix(variant))
        .unwrap_or(name);
    if ALONE.contains(&name) {
        return true;
    }
    let mut parts = name.split('/');
    let area = parts.next().unwrap_or_default();
    let mut places = parts.peekable();
    AREAS.contains(&area) && places.peek().is_some() && places.all(is_place)
}

fn is_place(place: &str) -> bool {
    place.starts_with(|c: char| c.is_ascii_uppercase())
        && place
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_+-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::is_zone_name;

    #[test]
    fn names_of_the_database_are_known_by_their_shape() {
        for name in [
            "UTC",
            "Europe/Paris",
            "America/Argentina/Buenos_Aires",
            "America/Port-au-Prince",
            "Etc/GMT+5",
            "right/Asia/Tokyo",
            "W-SU",
        ] {
            assert!(is_zone_name(name), "{name}");
        }
        for name in [
            "",
            "Mon",
            "Foo/Bar",
            "Europe",
            "Europe/",
            "Europe/paris",
            "europe/Paris",
            "Europe//Paris",
            "Europe/Pa ris",
            "US",
            "zone.tab",
            "+02:00",
            "10",
            "/etc/passwd",
            "Europe/../UTC",
        ] {
            assert!(!is_zone_name(name), "{name}");
        }
    }
}
