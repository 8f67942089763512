//! Two thousand names that break programs, always the same ones.

use std::collections::BTreeSet;

/// How many there are.
pub(crate) const COUNT: usize = 2000;

/// Names that mean something to someone: shells, globs, options, printf, JSON, our own formats.
use test_support::Random;

const MEANT: [&str; 96] = [
    "-rf",
    "--",
    "-",
    "--delete",
    "--help",
    "-n",
    "...",
    "..a",
    ".hidden",
    ".-",
    "~",
    "~root",
    "#",
    "#mtree",
    "#mtree backup-manifest=1",
    "/set",
    "*",
    "**",
    "?",
    "[a-z]",
    "[!a]",
    "{a,b}",
    "!x",
    "$(touch gone)",
    "`id`",
    "${HOME}",
    "$IFS",
    ";",
    "&",
    "|",
    ">",
    "<",
    "'",
    "\"",
    "\\",
    "\\\\",
    "\\n",
    "\\0",
    "\\041",
    "\\400",
    "\\9",
    "\\x41",
    "\\u0041",
    "a\\040b",
    "%",
    "%s%n",
    "%20",
    "%2F",
    "a=b",
    "type=file",
    "sha256digest=00",
    " ",
    "  ",
    " a",
    "a ",
    "a.",
    "a. ",
    "\t",
    "a\tb",
    "\n",
    "a\n",
    "\na",
    "a\nb\n./c type=dir",
    "\r",
    "a\r\n",
    "\u{1b}[2J",
    "\u{1b}]0;x\u{7}",
    "\u{7f}",
    "CON",
    "NUL",
    "aux.txt",
    "a:b",
    "C:",
    "desktop.ini",
    "\u{feff}bom",
    "a\u{200b}b",
    "\u{202e}cod",
    "\u{2066}x\u{2069}",
    "\u{a0}",
    "a\u{2028}b",
    "\u{85}",
    "e\u{301}",
    "\u{e9}",
    "\u{1f980}",
    "\u{fb01}",
    "fi",
    "straße",
    "STRASSE",
    "ı",
    "İ",
    "i",
    "I",
    ".Trash-0",
    "lost+found",
    "core",
    "null",
];

/// Names that look like those of temporaries and of our own folders and files.
const OURS: [&str; 28] = [
    ".backup",
    ".latest.new",
    ".snapshot.json.new",
    "snapshot.json",
    "manifest",
    "latest",
    "daily",
    "weekly",
    "monthly",
    "partial",
    "trash",
    "lock",
    "destination.json",
    "copied.log",
    "2025-02-01_02-00-00",
    "2025-02-01_02-00-00.1",
    ".partial",
    ".tmp",
    ".new",
    "a.tmp",
    "a~",
    ".a.swp",
    ".a.Xy12Zq",
    ".~tmp~",
    "a.part",
    "a.partial",
    ".nfs000000000001",
    ".fuse_hidden00000001",
];

/// All names, in byte order.
pub(crate) fn all() -> Vec<Vec<u8>> {
    let mut names: BTreeSet<Vec<u8>> = BTreeSet::new();
    names.extend(
        MEANT
            .iter()
            .filter(|name| !name.contains('/'))
            .map(|name| name.as_bytes().to_vec()),
    );
    names.extend(OURS.iter().map(|name| name.as_bytes().to_vec()));
    // Each byte alone, in front, in the middle and at the end; what is left is no whole UTF-8.
    for byte in (1..=255_u8).filter(|byte| *byte != b'/') {
        names.extend([
            vec![byte],
            vec![byte, b'x'],
            vec![b'x', byte, b'x'],
            vec![b'x', byte],
        ]);
    }
    // As long as a name can be, of one byte or of sequences that a cut would break.
    for (at, piece) in ["x", " ", "\\", "\n", "é", "🦀", "%", "*"]
        .iter()
        .enumerate()
    {
        let mut name = piece.repeat(255 / piece.len()).into_bytes();
        name.resize(255, b'0' + u8::try_from(at).unwrap());
        names.insert(name);
    }
    // All ways to write one word large and small.
    for bits in 0..64_u8 {
        let cased = b"letter".iter().enumerate();
        names.insert(
            cased
                .map(|(at, byte)| byte - 32 * (bits >> at & 1))
                .collect(),
        );
    }
    // One name is the start of the next, and sorts between folders and their content.
    for length in 1..40 {
        names.insert(
            b"prefix"
                .iter()
                .chain(&vec![b'.'; length])
                .copied()
                .collect(),
        );
        names.insert(
            b"prefix"
                .iter()
                .chain(&vec![b'!'; length])
                .copied()
                .collect(),
        );
    }
    names.remove(b".".as_slice());
    names.remove(b"..".as_slice());
    // The rest by chance, with seldom bytes often.
    let mut random = Random::new(0x2545_F491_4F6C_DD1D);
    while names.len() < COUNT {
        let length = 2 + random.index_below(40);
        let name = (0..length).map(|_| match random.index_below(4) {
            0 => b"\\\n \t%*?[\"'$#=-"[random.index_below(14)],
            1 => 128 + u8::try_from(random.index_below(128)).unwrap(),
            _ => 1 + u8::try_from(random.index_below(255)).unwrap(),
        });
        names.insert(name.filter(|byte| *byte != b'/').chain(*b"r").collect());
    }
    names.into_iter().collect()
}

#[test]
fn there_are_two_thousand_different_names_that_a_folder_can_hold() {
    let names = all();
    assert_eq!(names.len(), COUNT);
    for name in &names {
        assert!((1..=255).contains(&name.len()) && !name.contains(&b'/') && !name.contains(&0));
    }
    assert!(
        names
            .iter()
            .filter(|name| std::str::from_utf8(name).is_err())
            .count()
            > 500
    );
    assert!(names.iter().filter(|name| name.len() == 255).count() >= 8);
}
