//! Wildcards: `*`, `**`, `?`, `[…]` and backslash, compiled into a table that reads each byte once.
//!
//! Owns how a wildcard pattern is read and run over bytes. It must not know what makes a pattern
//! anchored or limited to folders: `pattern` decides that and says what part of a path to compare.
//!
//! The automaton keeps one bit per place in the pattern, so that all ways to match are followed at
//! the same time: nothing is ever tried again, whatever the pattern looks like.

/// Which part of a path has to match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// All of it.
    Whole,
    /// Its last names, with this many `/` between them; a path with fewer does not match.
    LastComponents(usize),
    /// All of it, or what is behind any `/`.
    AnyComponent,
}

/// Patterns for a name that need no automaton.
pub(super) enum NameShape {
    /// `text*`
    Start(Box<[u8]>),
    /// `*text`
    End(Box<[u8]>),
    Other,
}

/// A compiled wildcard pattern.
#[derive(Clone)]
pub(super) struct Glob {
    items: Vec<Item>,
    /// Before item i stands `stars[i]`; behind the last item stands the last one.
    stars: Vec<Star>,
    /// The bytes that any match must end with. Stops short of a `/`.
    ending: Box<[u8]>,
    /// `**` at the very start may match nothing and take the `/` after it along.
    opens_deep: bool,
    /// `***` at the very end lets `folder/***` match the folder.
    ends_in_three: bool,
    automaton: Automaton,
}

/// What matches exactly one byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Item {
    Byte(u8),
    Set(ByteSet),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Star {
    None,
    /// `*`: any bytes but `/`.
    Flat,
    /// `**` or more: any bytes.
    Deep,
}

impl Glob {
    /// Reads a pattern, without the `/` that anchors it. `None` if it can match nothing: a `[`
    /// that is never closed, an unknown `[:class:]` or a backslash at the end.
    pub(super) fn compile(pattern: &[u8]) -> Option<Glob> {
        let mut items = Vec::new();
        let mut stars = vec![Star::None];
        let mut rest = pattern;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            let item = match byte {
                b'*' => {
                    let more = rest.iter().take_while(|&&byte| byte == b'*').count();
                    rest = &rest[more..];
                    *stars.last_mut()? = if more == 0 { Star::Flat } else { Star::Deep };
                    continue;
                }
                b'?' => Item::Set(ByteSet::default().inverted()),
                b'[' => {
                    let (set, after) = ByteSet::read(rest)?;
                    rest = after;
                    Item::Set(set)
                }
                b'\\' => {
                    let (&byte, after) = rest.split_first()?;
                    rest = after;
                    Item::Byte(byte)
                }
                _ => Item::Byte(byte),
            };
            items.push(item);
            stars.push(Star::None);
        }
        Some(Glob {
            ending: ending(&items, &stars),
            opens_deep: pattern.starts_with(b"**"),
            ends_in_three: pattern.ends_with(b"***"),
            automaton: Automaton::build(&items, &stars),
            items,
            stars,
        })
    }

    /// Whether the pattern, which must have no `**`, is simple enough to compare bytes instead.
    pub(super) fn name_shape(&self) -> NameShape {
        let bytes: Option<Box<[u8]>> = self.items.iter().map(Item::as_byte).collect();
        match (bytes, self.stars.as_slice()) {
            (Some(bytes), [Star::Flat, rest @ ..]) if rest.iter().all(Star::is_none) => {
                NameShape::End(bytes)
            }
            (Some(bytes), [rest @ .., Star::Flat]) if rest.iter().all(Star::is_none) => {
                NameShape::Start(bytes)
            }
            _ => NameShape::Other,
        }
    }

    pub(super) fn matches_name(&self, name: &[u8]) -> bool {
        name.ends_with(&self.ending) && self.automaton.accepts(&[name], false)
    }

    /// Whether all of a text matches, whatever it is.
    pub(super) fn matches_all(&self, text: &[u8]) -> bool {
        self.automaton.accepts(&[text], false)
    }

    pub(super) fn matches_path(&self, path: &[u8], reach: Reach, is_dir: bool) -> bool {
        if !path.ends_with(&self.ending) {
            return false;
        }
        let path = match reach {
            Reach::Whole | Reach::AnyComponent => path,
            Reach::LastComponents(slashes) => match last_components(path, slashes) {
                Some(tail) => tail,
                None => return false,
            },
        };
        let anywhere = reach == Reach::AnyComponent;
        // As rsync: `**/name` is to match `name` at the top too, and `folder/***` the folder.
        let before: &[u8] = if anywhere && self.opens_deep {
            b"/"
        } else {
            b""
        };
        let behind: &[u8] = if is_dir && self.ends_in_three {
            b"/"
        } else {
            b""
        };
        self.automaton.accepts(&[before, path, behind], anywhere)
    }

    /// Whether all of a path matches that stands in two parts: what is above, which may be nothing, and
    /// the rest.
    pub(super) fn matches_below(&self, above: &[u8], path: &[u8], is_dir: bool) -> bool {
        if !path.ends_with(&self.ending) {
            return false;
        }
        let behind: &[u8] = if is_dir && self.ends_in_three {
            b"/"
        } else {
            b""
        };
        let between: &[u8] = if above.is_empty() { b"" } else { b"/" };
        self.automaton
            .accepts(&[above, between, path, behind], false)
    }
}

impl Item {
    fn as_byte(&self) -> Option<u8> {
        match self {
            Item::Byte(byte) => Some(*byte),
            Item::Set(_) => None,
        }
    }

    fn contains(&self, byte: u8) -> bool {
        match self {
            Item::Byte(wanted) => *wanted == byte,
            Item::Set(set) => set.contains(byte),
        }
    }
}

impl Star {
    fn is_none(&self) -> bool {
        *self == Star::None
    }
}

/// The plain bytes at the end of a pattern. A `/` is left out with all before it, because the one
/// in `**/name` need not be in the path.
fn ending(items: &[Item], stars: &[Star]) -> Box<[u8]> {
    let mut bytes: Vec<u8> = (items.iter().zip(&stars[1..]).rev())
        .map_while(|(item, star)| {
            item.as_byte()
                .filter(|&byte| star.is_none() && byte != b'/')
        })
        .collect();
    bytes.reverse();
    bytes.into()
}

/// The last `slashes + 1` components; `None` if there are fewer.
fn last_components(path: &[u8], slashes: usize) -> Option<&[u8]> {
    let mut positions = path
        .iter()
        .enumerate()
        .rev()
        .filter(|&(_, &byte)| byte == b'/');
    if slashes > 0 {
        positions.nth(slashes - 1)?;
    }
    Some(positions.next().map_or(path, |(at, _)| &path[at + 1..]))
}

/// Bit i of the state is set when the first i items have matched.
#[derive(Clone)]
struct Automaton {
    /// 64-bit words in a state.
    words: usize,
    /// For each byte, the items that it matches: 256 states, one behind the other.
    moves: Box<[u64]>,
    /// The places that a byte other than `/` may stay at, because a star stands there.
    stays: Box<[u64]>,
    /// The places that a `/` may stay at.
    stays_on_slash: Box<[u64]>,
    /// The place behind the last item.
    goal: usize,
}

impl Automaton {
    fn build(items: &[Item], stars: &[Star]) -> Automaton {
        let goal = items.len();
        let words = goal / 64 + 1;
        let mut automaton = Automaton {
            words,
            moves: vec![0; 256 * words].into(),
            stays: vec![0; words].into(),
            stays_on_slash: vec![0; words].into(),
            goal,
        };
        for (place, item) in items.iter().enumerate() {
            for byte in (0..=u8::MAX).filter(|&byte| item.contains(byte)) {
                automaton.moves[usize::from(byte) * words + place / 64] |= 1 << (place % 64);
            }
        }
        for (place, star) in stars.iter().enumerate() {
            let bit = 1 << (place % 64);
            if *star != Star::None {
                automaton.stays[place / 64] |= bit;
            }
            if *star == Star::Deep {
                automaton.stays_on_slash[place / 64] |= bit;
            }
        }
        automaton
    }

    /// Whether the parts, read as one text, match. With `anywhere`, a match may begin after any `/`
    /// of the text too.
    fn accepts(&self, parts: &[&[u8]], anywhere: bool) -> bool {
        if self.words == 1 {
            return self.accepts_short(parts, anywhere);
        }
        let mut state = vec![0; self.words];
        state[0] = 1;
        for &byte in parts.iter().copied().flatten() {
            let stays = if byte == b'/' {
                &self.stays_on_slash
            } else {
                &self.stays
            };
            let moves = &self.moves[usize::from(byte) * self.words..][..self.words];
            let mut carry = u64::from(anywhere && byte == b'/');
            let mut alive = u64::from(anywhere);
            for ((word, moves), stays) in state.iter_mut().zip(moves).zip(stays) {
                let moved = *word & moves;
                *word = moved << 1 | carry | *word & stays;
                carry = moved >> 63;
                alive |= *word;
            }
            if alive == 0 {
                return false;
            }
        }
        state[self.goal / 64] >> (self.goal % 64) & 1 == 1
    }

    /// The same, for the usual pattern of fewer than 64 items.
    fn accepts_short(&self, parts: &[&[u8]], anywhere: bool) -> bool {
        let mut state = 1;
        for part in parts {
            for &byte in *part {
                let slash = byte == b'/';
                let stays = if slash {
                    self.stays_on_slash[0]
                } else {
                    self.stays[0]
                };
                state = (state & self.moves[usize::from(byte)]) << 1
                    | state & stays
                    | u64::from(slash && anywhere);
                if state == 0 && !anywhere {
                    return false;
                }
            }
        }
        state >> self.goal & 1 == 1
    }
}

/// The bytes that `?` or `[…]` matches; never `/`.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct ByteSet([u64; 4]);

impl ByteSet {
    fn contains(self, byte: u8) -> bool {
        self.0[usize::from(byte / 64)] >> (byte % 64) & 1 == 1
    }

    fn insert(&mut self, byte: u8) {
        if byte != b'/' {
            self.0[usize::from(byte / 64)] |= 1 << (byte % 64);
        }
    }

    fn inverted(self) -> ByteSet {
        let mut inverted = ByteSet::default();
        (0..=u8::MAX)
            .filter(|&byte| !self.contains(byte))
            .for_each(|byte| inverted.insert(byte));
        inverted
    }

    /// Reads a set from behind its `[`; returns it with what follows its `]`.
    fn read(pattern: &[u8]) -> Option<(ByteSet, &[u8])> {
        let (mut rest, inverted) = match pattern {
            [b'!' | b'^', rest @ ..] => (rest, true),
            _ => (pattern, false),
        };
        let mut set = ByteSet::default();
        // What a following `-` would make a range from.
        let mut low = None;
        let mut first = true;
        loop {
            (low, rest) = match rest {
                [] | [b'\\'] => return None,
                // A `]` right after the `[` stands for itself.
                [b']', after @ ..] if !first => {
                    return Some((if inverted { set.inverted() } else { set }, after));
                }
                // Between two bytes, and not at the end of the set.
                [b'-', after @ ..] if low.is_some() && !matches!(after, [] | [b']', ..]) => {
                    let (high, after) = match after {
                        [b'\\', byte, after @ ..] => (*byte, after),
                        [b'\\'] | [] => return None,
                        [byte, after @ ..] => (*byte, after),
                    };
                    (low.unwrap_or(high)..=high).for_each(|byte| set.insert(byte));
                    (None, after)
                }
                [b'[', b':', after @ ..] => {
                    let end = after.iter().position(|&byte| byte == b']')?;
                    if let Some(class) = after[..end].strip_suffix(b":") {
                        let test = class_test(class)?;
                        (0..=u8::MAX).filter(test).for_each(|byte| set.insert(byte));
                        (None, &after[end + 1..])
                    } else {
                        // No class after all, as in `[[:]`: the `[` stands for itself.
                        set.insert(b'[');
                        (Some(b'['), &rest[1..])
                    }
                }
                [b'\\', byte, after @ ..] | [byte, after @ ..] => {
                    set.insert(*byte);
                    (Some(*byte), after)
                }
            };
            first = false;
        }
    }
}

/// The POSIX classes, for ASCII only.
fn class_test(name: &[u8]) -> Option<fn(&u8) -> bool> {
    Some(match name {
        b"alnum" => u8::is_ascii_alphanumeric,
        b"alpha" => u8::is_ascii_alphabetic,
        b"blank" => |byte| matches!(byte, b' ' | b'\t'),
        b"cntrl" => u8::is_ascii_control,
        b"digit" => u8::is_ascii_digit,
        b"graph" => u8::is_ascii_graphic,
        b"lower" => u8::is_ascii_lowercase,
        b"print" => |byte| matches!(byte, b' '..=b'~'),
        b"punct" => u8::is_ascii_punctuation,
        b"space" => |byte| matches!(byte, b' ' | b'\t'..=b'\r'),
        b"upper" => u8::is_ascii_uppercase,
        b"xdigit" => u8::is_ascii_hexdigit,
        _ => return None,
    })
}
