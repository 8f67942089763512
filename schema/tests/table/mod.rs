//! The table of exclude patterns: cases that people write, and what rsync leaves of each tree.
//!
//! Shared by the tests of the matcher and of what is built on it.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink},
    path::Path,
};

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

/// One line of the table.
pub(crate) struct Case {
    /// As it stands in the table.
    pub(crate) line: String,
    pub(crate) patterns: Vec<String>,
    pub(crate) tree: Tree,
    /// What is left.
    pub(crate) left: BTreeSet<Vec<u8>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    File,
    Folder,
    Link,
}

/// Every entry with its kind, parents first.
pub(crate) type Tree = std::collections::BTreeMap<Vec<u8>, Kind>;

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
pub(crate) fn plant(tree: &mut Tree, entry: &str) {
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

pub(crate) fn cases() -> Vec<Case> {
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

/// Makes a tree in a folder that is there.
pub(crate) fn build(tree: &Tree, root: &Path) {
    for (path, kind) in tree {
        let path = root.join(OsStr::from_bytes(path));
        match kind {
            Kind::Folder => fs::create_dir_all(path).unwrap(),
            Kind::Link => symlink("real", path).unwrap(),
            Kind::File => fs::write(path, "").unwrap(),
        }
    }
}
