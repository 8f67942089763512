//! Holds the exclude matcher against the real rsync: a table of cases that people write, and random
//! hostile patterns over one fixed tree.
//!
//! The table is checked without rsync as well. Nothing here may be expected only because our
//! matcher does it: what a case says is what rsync does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use schema::pattern::{Excludes, Pattern};

/// One case a line: `patterns | what is left | what is gone`, with blanks between patterns and
/// between paths. Folders end with `/`, symlinks (to `real`, which is missing) with `@`. Folders
/// above a path need not be listed, and are left; but of `a/b//c`, the folder `a/b` is what is
/// excluded and `c` goes with it. `%20` is the byte 0x20.
const TABLE: &str = r"
# a name without a slash, at any depth
.cache | cache .cached a.cache | .cache//x a/.cache//y b/c/.cache
node_modules | src/node_modules.js src/modules | node_modules//a/b src/node_modules//c
foo | foobar barfoo Foo a/f/oo | foo a/foo a/b/foo//c
foo | b foo.txt | foo@ a/foo@
foo bar | baz/x | foo bar a/foo a/bar//x

# an inner slash matches the tail of the path
.local/share/Trash | .local/share/x share/Trash | .local/share/Trash//f home/ann/.local/share/Trash//f
foo/bar | foo/baz bar/foo foo/x/bar xfoo/bar | foo/bar a/foo/bar//c a/b/foo/bar
a/b/c | a/b/x/c b/c a/c | a/b/c//d z/a/b/c
./foo | foo a/foo |
../foo | foo a/foo |
a//b | a/b |
a/./b | a/b |

# a leading slash anchors
/foo | a/foo foo2 | foo//x
/foo/bar | a/foo/bar foo/x/bar foo/barx | foo/bar//y
/*.log | a/x.log | x.log y.log//z
/*/cache | cache a/b/cache | a/cache b/cache//x
/a*/b | ab xa/b a/x/b | a/b abc/b
//foo | foo a/foo |

# a trailing slash is for folders only
foo/ | a/foo foo@ | b/foo//x b/c/foo/
foo/ | foo a/foo@ | b/foo/
/foo/ | a/foo/x | foo//x
/foo/ | foo a/foo/x |
a/foo/ | foo/x b/a/foo | a/foo//x c/a/foo//y
*/ | x y@ | a/ b//c
*.d/ | a.d b.d@ c/ | x.d//y c/z.d/
foo// | foo/x a/foo/y |
/foo// | foo/x |
/ | foo/x y |
// | foo/x y |
a*/ | ax b/ay@ | az//x b/az//x

# one star stops at a slash
*.tmp | tmp a.tmp.x x/tmp | .tmp a.tmp x/b.tmp c.tmp//y
tmp* | atmp x/atmp | tmp tmp1 x/tmp2//y
*cache* | cach a/Cache | cache xcachey a/.cache//z
a*b | a/b ba a/x/b xab | ab axb a/axxb//c
a*b*c | ab acb ac | abc aXbXc x/abbcc
* | | a b//c .d
*.* | a b/c | .x a.b b/x.y
foo/* | foo/ a/foo/ bar | foo/x a/foo/y foo/z//w
foo/*/bar | foo/bar foo/a/b/bar foo/x | foo/a/bar x/foo/b/bar
*/foo | foo | a/foo a/b/foo//c
/home/*/.cache | home/.cache home/a/b/.cache x/home/a/.cache | home/ann/.cache//x home/.bob/.cache
*a/b* | a/c b xa/y | a/b xa/bx c/a/b
a/*b | ab c/b | a/b a/xb c/a/yb//z

# two stars do not
foo/** | foo/ a/foo/ bar | foo/x foo/y//z a/foo/b
/foo/** | foo/ a/foo/b | foo/x foo/y//z
**/foo | a/xfoo foox | foo a/foo a/b/foo//c
/**/foo | foo | a/foo a/b/foo
foo/**/bar | foo/bar bar x/bar | foo/a/bar foo/a/b/bar x/foo/a/bar
/foo/**/bar | foo/bar x/foo/a/bar | foo/a/bar foo/a/b/bar//c
a**b | xa/y ba xab | ab a/b axb a/x/b a/x/y/zb x/a/b
/a**b | x/ab x/a/b | ab a/b a/x/b
**.o | a x/o | .o a.o x/b.o
** | | a b//c
*** | | a b//c
/** | | a b//c
**/ | a b@ | c//d e/
**/*.bak | a x/bak | a.bak x/b.bak x/y/c.bak
**a/b | c b/a/c | xa/b a/b x/ya/b//z
foo** | xfoo a/xfoo/x | foo foox a/foo b/foox//y
x**y**z | xy/w a/xz | xyz x/y/z a/x/b/y/c/z x/yz
/**x | b y/z | x a/x a/bx//c

# three stars take the folder along
foo/*** | foo@ bar/x xfoo/y | a/foo//x a/foo//b/c
foo/*** | foo a/foo@ | b/foo//x
/foo/*** | a/foo/x | foo//x foo//y/z
/foo/***/ | a/foo/x b | foo//x foo//y/z
/*/*** | x | a//b c/
a***b | ba x | ab a/b a/x/b
*/*** | x | a//b c//d/e
f*/*** | f fo@ a/xf/y | foo//x a/f//y

# a question mark is one byte, and no slash
? | ab aa/cc | a bb/c
a?c | ac abbc a/c x/ac | abc x/aXc a.c//y
?? | a %c3%a9x x/y | ab %c3%a9 x/yy
/? | ab cd/ef | a b//x
a/?/b | a/b a/xx/b | a/x/b c/a/y/b

# sets
[abc] | d ab x/d | a x/b c//y
[a-c]x | dx ax1 -x | ax bx x/cx
[!a-c]x | ax cx x | dx -x e/zx
[^a-c]x | ax cx | dx ^x e/!x
[]x] | a | ] x
[!]x] | ] x | a b//[
[]-a] | b \ | ] ^ _ `
[a-] | b | a -
[-a] | b | a -
[a-c-e] | d | a b c - e
[c-a] | a b - | c
[a/b] | b c/a a/b |
x[/]y | x/y xy |
x[!a]y | x/y xay | xby
[[:digit:]]* | a1 x/b | 1 2a x/3//y
[[:alpha:]_] | 1 - | a Z _
[^[:alnum:]] | a 1 | - _ ,
[[:upper:][:digit:]]x | ax | Ax 1x
[[:space:]] | a | %20 %09 %0b
[[:punct:]] | a 1 | ! [ ~
[[:nope:]] | n : a |
[[:] | a ] | [ :
[[:a] | b ] | [ : a
[[:alpha:] | a :] [ |
[a | a [a |
a[ | a a[ |
[] | ] [] |
[!] | ! [!] |
[!!] | ! | a b
[a*] | b ab | a *
[*] | a x/b | * x/*
[\]] | \ [] a | ]
[\a] | \ b | a
[a-\c] | \ d | a b c
[[-]] | a [ ] | -] []
*.[ch] | a.cc a.hc x.o | a.c b.h x/y.c
[%c3%a9] | %c3%a9 a | %c3 %a9
%c3%a9 | e | %c3%a9 x/%c3%a9//y
caf? | caf%c3%a9 | cafe caf%e9
*%e2%82%ac | %ac | 5%e2%82%ac
* | | %ff%fe a%ff//b

# a backslash is itself, unless there is a wildcard
a\b | ab a\\b | a\b
a\\b | ab a\b | a\\b
\ | a | \ x/\
a\ | a | a\
a\b* | a\b a\bc | ab abc
a\\b* | ab a\c | a\b a\bc
\*x | ax \*x | *x a/*x
\[a]* | a b | [a] [a]b
\?x* | ax | ?x ?xy
*\ | a\ \ a |
*\\ | a | a\ \
a\/b* | ab a\ | a/b a/bc
\** | a | * *x *y//z
x/\*/y | x/a/y | x/*/y a/x/*/y

# characters that mean something in rsync's filter files
#a | a | #a x/#a
;a | a | ;a
%20a | a a%20 | %20a x/%20a
a%20 | a %20a | a%20
%20 | a | %20
# %23 is the number sign, %2d the dash: a dash and a blank are dropped
-%20foo | -%20foo | foo a/foo
-%20/foo | a/foo | foo
-%20+%20foo | foo | +%20foo
-%20-%20foo | foo | -%20foo
-%20! | a | !
-%20%20foo | foo | %20foo
-foo | foo | -foo
-_foo | foo _foo | -_foo
+foo | foo | +foo
!foo | foo ! | !foo
!%20foo | foo | !%20foo
!/ | ! | a/!//x
- | a | - x/-
+ | a | + x/+
-%09foo | foo | -%09foo
P%20foo | foo | P%20foo
.%20foo | foo | .%20foo
:%20foo | foo | :%20foo
merge%20foo | foo | merge%20foo
a,b | a b | a,b
%24HOME | HOME | %24HOME
~ | a | ~ x/~
{a,b} | a b | {a,b}
a%0ab | a b | a%0ab
a*b | ab1 | a%0ab
a%0db | a b | a%0db

# the default list
.cache *.tmp .local/share/Trash node_modules __pycache__ | a/tmp .local/share/x | a/.cache//b c.tmp .local/share/Trash//d e/node_modules//f g/__pycache__//h
";

struct Case {
    line: String,
    patterns: Vec<String>,
    tree: Tree,
    left: BTreeSet<Vec<u8>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    File,
    Folder,
    Link,
}

/// Every entry with its kind, parents first.
type Tree = std::collections::BTreeMap<Vec<u8>, Kind>;

/// `%xx` to bytes.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'%' {
            bytes.push(u8::from_str_radix(str::from_utf8(&after[..2]).unwrap(), 16).unwrap());
            rest = &after[2..];
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    bytes
}

/// Adds an entry, and the folders above it.
fn plant(tree: &mut Tree, entry: &str) {
    let mut path = unescape(entry);
    let kind = match path.last() {
        Some(b'/') => Kind::Folder,
        Some(b'@') => Kind::Link,
        _ => Kind::File,
    };
    if kind != Kind::File {
        path.pop();
    }
    for (at, _) in path.iter().enumerate().filter(|&(_, &byte)| byte == b'/') {
        let above = tree.insert(path[..at].to_vec(), Kind::Folder);
        assert!(
            matches!(above, None | Some(Kind::Folder)),
            "{entry}: a folder and not"
        );
    }
    let before = *tree.entry(path).or_insert(kind);
    assert_eq!(before, kind, "{entry}: listed as two kinds");
}

fn cases() -> Vec<Case> {
    let lines = TABLE.lines().filter(|line| line.contains(" | "));
    lines
        .map(|line| {
            let columns: Vec<&str> = line.split('|').collect();
            let [patterns, left, gone] = columns[..] else {
                panic!("not three columns: {line}");
            };
            let (mut tree, mut expected) = (Tree::new(), Tree::new());
            for entry in left.split_ascii_whitespace() {
                plant(&mut expected, entry);
                plant(&mut tree, entry);
            }
            for entry in gone.split_ascii_whitespace() {
                let excluded = entry
                    .split_once("//")
                    .map_or(entry, |(excluded, _)| excluded);
                if let Some((above, _)) = excluded.trim_end_matches('/').rsplit_once('/') {
                    plant(&mut expected, &format!("{above}/"));
                }
                plant(&mut tree, &entry.replace("//", "/"));
            }
            Case {
                line: line.to_owned(),
                patterns: (patterns.split_ascii_whitespace())
                    .map(|text| String::from_utf8(unescape(text)).unwrap())
                    .collect(),
                tree,
                left: expected.into_keys().collect(),
            }
        })
        .collect()
}

/// What our matcher leaves of a tree, walked as an engine walks: nothing in an excluded folder.
fn left_by_us(tree: &Tree, excludes: &Excludes) -> BTreeSet<Vec<u8>> {
    let mut left = BTreeSet::new();
    for (path, kind) in tree {
        let above = path
            .iter()
            .rposition(|&byte| byte == b'/')
            .map(|at| &path[..at]);
        if above.is_none_or(|above| left.contains(above))
            && excludes.matches(path, *kind == Kind::Folder).is_none()
        {
            left.insert(path.clone());
        }
    }
    left
}

fn build(tree: &Tree, root: &Path) {
    for (path, kind) in tree {
        let path = root.join(OsStr::from_bytes(path));
        match kind {
            Kind::Folder => fs::create_dir_all(path).unwrap(),
            Kind::Link => symlink("real", path).unwrap(),
            Kind::File => fs::write(path, "").unwrap(),
        }
    }
}

/// What rsync leaves of the tree in `root`.
fn left_by_rsync(root: &Path, arguments: &[OsString]) -> BTreeSet<Vec<u8>> {
    let output = Command::new("rsync")
        .args(["--recursive", "--links", "--dry-run", "--out-format=%n"])
        .args(arguments)
        .args([root.join("src/"), root.join("dst/")])
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaint.is_empty(),
        "{arguments:?}: {complaint}"
    );
    let lines = output
        .stdout
        .split(|&byte| byte == b'\n')
        .map(unescape_rsync);
    lines
        .filter(|path| !path.is_empty() && path != b".")
        .collect()
}

/// rsync prints an unprintable byte as `\#012`. Folders lose their trailing slash.
fn unescape_rsync(line: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line.strip_suffix(b"/").unwrap_or(line);
    while let Some((&byte, after)) = rest.split_first() {
        if let [
            b'\\',
            b'#',
            a @ b'0'..=b'3',
            b @ b'0'..=b'7',
            c @ b'0'..=b'7',
            ..,
        ] = rest
        {
            bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
            rest = &rest[5..];
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    bytes
}

/// Whether to skip. A build server must not pass without having asked rsync.
fn rsync_is_missing(what: &str) -> bool {
    if Command::new("rsync")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
    {
        return false;
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{what}: rsync is not installed"
    );
    eprintln!("SKIPPED: {what} because rsync is not installed");
    true
}

fn scratch() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("src")).unwrap();
    fs::create_dir(root.path().join("dst")).unwrap();
    root
}

fn readable(paths: &BTreeSet<Vec<u8>>) -> Vec<String> {
    paths
        .iter()
        .map(|path| path.escape_ascii().to_string())
        .collect()
}

#[test]
fn the_table_holds_for_us() {
    let cases = cases();
    assert!(cases.len() >= 80, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let left = left_by_us(&case.tree, &Excludes::new(&case.patterns).unwrap());
        if left != case.left {
            wrong.push(format!("{}\n    left: {:?}", case.line, readable(&left)));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

#[test]
fn the_table_holds_for_rsync() {
    if rsync_is_missing("the_table_holds_for_rsync") {
        return;
    }
    let mut wrong = Vec::new();
    for case in &cases() {
        let root = scratch();
        build(&case.tree, &root.path().join("src"));
        let arguments = Excludes::new(&case.patterns).unwrap().to_rsync_args();
        let left = left_by_rsync(root.path(), &arguments);
        if left != case.left {
            wrong.push(format!("{}\n    left: {:?}", case.line, readable(&left)));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Names chosen so that pieces of `PIECES` often match them.
const FOREST: &str = r"
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
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }
}

/// A path of the tree with pieces put in the place of some of its bytes, so that it is likely to
/// match something, or else pieces alone.
fn random_pattern(dice: &mut Dice, paths: &[&str]) -> String {
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

#[test]
fn random_patterns_leave_what_rsync_leaves() {
    if rsync_is_missing("random_patterns_leave_what_rsync_leaves") {
        return;
    }
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let rounds = number("PATTERN_ROUNDS", 400);
    let mut dice = Dice(number("PATTERN_SEED", 2026));
    let mut tree = Tree::new();
    FOREST
        .split_ascii_whitespace()
        .for_each(|entry| plant(&mut tree, entry));
    let root = scratch();
    build(&tree, &root.path().join("src"));
    let paths: Vec<&str> = tree
        .keys()
        .filter_map(|path| str::from_utf8(path).ok())
        .collect();

    let mut patterns = BTreeSet::new();
    while patterns.len() < rounds as usize {
        let pattern = random_pattern(&mut dice, &paths);
        if Pattern::parse(&pattern).is_ok() {
            patterns.insert(pattern);
        }
    }
    // Nearly all the time goes to starting rsync, so several are started at once.
    let patterns: Vec<String> = patterns.into_iter().collect();
    let (tree, root) = (&tree, root.path());
    let answers: Vec<(bool, Option<String>)> = std::thread::scope(|scope| {
        let ask = |share: &[String]| -> Vec<_> {
            share
                .iter()
                .map(|pattern| compare(pattern, tree, root))
                .collect()
        };
        let shares: Vec<_> = (patterns.chunks(patterns.len().div_ceil(4)))
            .map(|share| scope.spawn(move || ask(share)))
            .collect();
        shares
            .into_iter()
            .flat_map(|share| share.join().unwrap())
            .collect()
    });
    let telling = answers.iter().filter(|(telling, _)| *telling).count();
    let wrong: Vec<String> = answers.into_iter().filter_map(|(_, wrong)| wrong).collect();
    eprintln!("{rounds} patterns, {telling} of them match some paths and not all");
    assert!(
        wrong.is_empty(),
        "{} of {rounds}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(
        telling * 3 > patterns.len(),
        "only {telling} patterns match some paths and not all"
    );
}

/// Whether the pattern excludes some of the tree and not all, and how rsync disagrees about it.
fn compare(pattern: &str, tree: &Tree, root: &Path) -> (bool, Option<String>) {
    let excludes = Excludes::new(&[pattern]).unwrap();
    let ours = left_by_us(tree, &excludes);
    let theirs = left_by_rsync(root, &excludes.to_rsync_args());
    let wrong = (ours != theirs).then(|| {
        format!(
            "{pattern}\n    only we leave {:?}\n    only rsync leaves {:?}",
            readable(&(&ours - &theirs)),
            readable(&(&theirs - &ours))
        )
    });
    (!ours.is_empty() && ours.len() < tree.len(), wrong)
}

#[test]
fn what_rsync_would_not_exclude_is_refused() {
    for (text, said) in [
        ("", "must not be empty"),
        ("!", "forget the patterns before it; write \"- !\""),
        ("+ foo", "takes for an include; write \"- + foo\""),
        ("+ ", "takes for an include"),
        ("- ", "names nothing"),
        ("a\0b", "NUL byte"),
        (
            &"a".repeat(4096),
            "has 4096 bytes, and rsync takes at most 4095",
        ),
        (&format!("{}/", "a".repeat(4095)), "at most 4095"),
    ] {
        let error = Pattern::parse(text).unwrap_err();
        assert_eq!(error.pattern(), text);
        assert!(error.to_string().contains(said), "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
    let longest = "a".repeat(4095);
    for text in [
        longest.as_str(),
        &format!("- {longest}"),
        "- !",
        "!/",
        " ",
        "\n",
        "-",
        "+",
        "/",
    ] {
        assert_eq!(Pattern::parse(text).unwrap().as_str(), text);
    }
    let error = Excludes::new(&["fine", "+ foo", "!"]).unwrap_err();
    assert_eq!(error.pattern(), "+ foo");
}

/// The same, seen from rsync: what is refused is no exclude there either.
#[test]
fn what_is_refused_is_no_exclude_to_rsync() {
    if rsync_is_missing("what_is_refused_is_no_exclude_to_rsync") {
        return;
    }
    let mut tree = Tree::new();
    ["foo", "!", "+%20foo", "a/+%20"]
        .iter()
        .for_each(|entry| plant(&mut tree, entry));
    let root = scratch();
    build(&tree, &root.path().join("src"));
    let everything: BTreeSet<_> = tree.keys().cloned().collect();
    let left = |arguments: &[&str]| {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        left_by_rsync(root.path(), &arguments)
    };
    assert_eq!(left(&["--exclude="]), everything);
    assert_eq!(left(&["--exclude=foo", "--exclude=!"]), everything);
    assert_eq!(left(&["--exclude=+ foo"]), everything);
    assert_eq!(left(&["--exclude=+ foo", "--exclude=foo"]), everything);
    assert_ne!(left(&["--exclude=foo"]), everything);
}

#[test]
fn the_index_is_that_of_the_first_match() {
    let excludes = Excludes::new(&["*.tmp", "a.*", "/top/"]).unwrap();
    assert_eq!(excludes.matches(b"x/a.tmp", false), Some(0));
    assert_eq!(excludes.matches(b"x/a.b", false), Some(1));
    assert_eq!(excludes.matches(b"top", true), Some(2));
    assert_eq!(excludes.matches(b"top", false), None);
    assert_eq!(excludes.matches(b"x/top", true), None);
    assert!(!excludes.is_empty());
    assert_eq!(excludes.patterns()[2].as_str(), "/top/");
    let none = Excludes::new(&[""; 0]).unwrap();
    assert!(none.is_empty() && none.matches(b"x", false).is_none());
    // The source itself stays, whatever the pattern.
    for text in ["*", "**", "***", "/***", "/", "*/"] {
        assert_eq!(
            Excludes::new(&[text]).unwrap().matches(b"", true),
            None,
            "{text}"
        );
    }
}

/// Patterns that make a backtracking matcher try for years. Each byte is read once, so this is
/// over in a moment even without optimisation.
#[test]
fn hostile_patterns_take_no_time() {
    let name = "a".repeat(255);
    let deep = vec!["a".repeat(50); 80].join("/");
    let started = Instant::now();
    for (piece, times) in [
        ("a*", 100),
        ("a**", 100),
        ("*?", 60),
        ("**/*a", 60),
        ("[a-z]*", 600),
    ] {
        for end in ["b", "[b]", "/b", "\\b*c"] {
            let pattern = format!("{}{end}", piece.repeat(times));
            let excludes = Excludes::new(&[&pattern]).unwrap();
            for path in [&name, &deep] {
                assert_eq!(excludes.matches(path.as_bytes(), true), None, "{pattern}");
            }
        }
    }
    let taken = started.elapsed();
    assert!(taken < Duration::from_secs(2), "{taken:?}");
}

/// Patterns of 64 items and more take another path through the code than short ones; padded with
/// sets that match one byte, they must do the same.
#[test]
fn long_patterns_do_what_short_ones_do() {
    let long = |items: usize| (format!("x{}", "[x]".repeat(items - 1)), "x".repeat(items));
    for items in [1, 61, 62, 63, 64, 65, 126, 127, 128, 129, 200] {
        let (pattern, text) = long(items);
        for (pattern, path, is_dir, wanted) in [
            (format!("{pattern}*"), format!("d/{text}"), false, true),
            (
                format!("{pattern}*"),
                format!("d/{}", &text[1..]),
                false,
                false,
            ),
            (format!("{pattern}?"), format!("{text}y"), false, true),
            (format!("{pattern}?"), format!("{text}yy"), false, false),
            (
                format!("{pattern}**y"),
                format!("d/{text}/a/y"),
                false,
                true,
            ),
            (
                format!("{pattern}**y"),
                format!("d/a{text}/a/y"),
                false,
                false,
            ),
            (
                format!("{pattern}**y"),
                format!("d/a/{text}z"),
                false,
                false,
            ),
            (format!("{pattern}*/y"), format!("d/{text}a/y"), false, true),
            (
                format!("{pattern}*/y"),
                format!("d/{text}/a/y"),
                false,
                false,
            ),
            (format!("{pattern}/***"), text.clone(), true, true),
            (format!("{pattern}/***"), text.clone(), false, false),
            (format!("**/{pattern}*"), format!("{text}z"), false, true),
        ] {
            let got = Excludes::new(&[&pattern])
                .unwrap()
                .matches(path.as_bytes(), is_dir);
            assert_eq!(got.is_some(), wanted, "{items}: {pattern} {path}");
        }
    }
}
