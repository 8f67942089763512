//! Random hostile patterns, and the tree that they are tried on.

/// Names chosen so that pieces of `PIECES` often match them.
pub(crate) const FOREST: &str = r"
a b c ab abc a1 1 12 - ! ] [ [a] * ** a*b ? \ a\b a\* \* %ff a%ffb %c3%a9 a%20b %20a a%0ab .a
foo foo.c .foo/a d/a d/b d/c d/ab d/a1 d/* d/\ d/foo d/d/a d/d/b d/d/foo d/a.c/b d/a.c/foo
e/a/b e/a/c e/a/foo/a e/a/foo/b e/b/a/b e/b/a/foo e/-/1 e/[/] e/*/a e/*/* e/\/a e/abc/abc/abc
f/ g/f/ g/foo/ h@ g/h@ g/foo/a@ a1b/a1b/a1b a.b/c.d/e.f x/y/z/a/b/foo x/a/y/b/z/foo
";

const PIECES: [&str; 28] = [
    "*",
    "*",
    "**",
    "**",
    "***",
    "?",
    "?",
    "/",
    "/",
    "[a-c]",
    "[!a]",
    "[^b]",
    "[[:digit:]]",
    "[[:alpha:]]",
    "[]a]",
    "[a-",
    "[",
    "]",
    "\\",
    "-",
    "!",
    "a",
    "b",
    "1",
    "foo",
    "d",
    "e",
    ".",
];

/// A small generator with a fixed seed (SplitMix64), so that a failure can be seen again.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }
}

/// A path of the tree with pieces put in the place of some of its bytes, so that it is likely to
/// match something, or else pieces alone.
pub(crate) fn random_pattern(dice: &mut Dice, paths: &[&str]) -> String {
    if dice.below(4) == 0 {
        let count = 1 + dice.below(5);
        return (0..count)
            .map(|_| PIECES[dice.below(PIECES.len())])
            .collect();
    }
    let path = paths[dice.below(paths.len())];
    let from = if dice.below(2) == 0 {
        0
    } else {
        path.rfind('/').map_or(0, |at| at + 1)
    };
    let mut pattern = String::from(["", "", "", "/", "**/", "**"][dice.below(6)]);
    for char in path[from..].chars() {
        match dice.below(8) {
            0 | 1 => pattern.push_str(PIECES[dice.below(PIECES.len())]),
            2 => pattern.extend(["\\", char.encode_utf8(&mut [0; 4])]),
            3 if char != '/' => pattern.push_str(["*", "?", "**", "[!x]"][dice.below(4)]),
            _ => pattern.push(char),
        }
    }
    pattern.push_str(["", "", "", "/", "*", "**", "/**", "***", "/***"][dice.below(9)]);
    pattern
}

/// Ways to write `/home/ann/`, and some that are none.
pub(crate) const HEADS: [&str; 14] = [
    "/home/ann/",
    "/home/ann/",
    "/home/*/",
    "/*/ann/",
    "/*/*/",
    "/h?me/[a-c]nn/",
    r"/home/a\nn/",
    "/home/**",
    "/**",
    "/**/",
    "/home/ann**",
    "/home/",
    "/home/an",
    "/",
];
