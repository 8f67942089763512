//! Which characters are seen as themselves where they stand.

use unicode_normalization::char::is_combining_mark;
use unicode_width::UnicodeWidthChar as _;

/// Marks on one letter: scripts need up to seven, and many more cover the lines around.
const MOST_MARKS: u8 = 8;

/// Reads a text from its start and tells of each character whether it is seen as itself.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sight {
    base: Base,
    /// Marks that follow the base.
    marks: u8,
}

/// What a mark would stand on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Base {
    /// Nothing of this text, or what marks do not belong on.
    #[default]
    None,
    Letter,
    /// What a keycap can show.
    Key,
    /// A picture, or a sign that can be one.
    Picture,
}

impl Sight {
    /// Whether the next character is seen as itself; `following` is the one after it.
    pub(crate) fn sees(&mut self, character: char, following: Option<char>) -> bool {
        if character.is_ascii() {
            self.stand_on(match character {
                '0'..='9' | '#' | '*' => Base::Key,
                'A'..='Z' | 'a'..='z' => Base::Letter,
                _ => Base::None,
            });
            return !character.is_ascii_control();
        }
        match character {
            // Makes a picture of a sign, or a sign of a picture.
            '\u{fe0e}' | '\u{fe0f}' if matches!(self.base, Base::Key | Base::Picture) => {
                self.takes_mark()
            }
            // Makes one picture of two. Anywhere else it is not seen.
            '\u{200d}' if self.base == Base::Picture && following.is_some_and(is_picture) => true,
            _ if is_hidden(character) => {
                self.stand_on(Base::None);
                false
            }
            _ if is_mark(character) => self.takes_mark(),
            _ => {
                self.stand_on(if is_picture(character) {
                    Base::Picture
                } else if character.is_whitespace() {
                    Base::None
                } else {
                    Base::Letter
                });
                true
            }
        }
    }

    /// Something stood here that no mark belongs on.
    pub(crate) fn interrupt(&mut self) {
        self.stand_on(Base::None);
    }

    fn stand_on(&mut self, base: Base) {
        *self = Self { base, marks: 0 };
    }

    fn takes_mark(&mut self) -> bool {
        let takes = self.base != Base::None && self.marks < MOST_MARKS;
        if takes {
            self.marks += 1;
        } else {
            self.interrupt();
        }
        takes
    }
}

/// Whether a character belongs to the one before it: accents, vowel signs, and the parts of a Korean
/// syllable after its first.
pub(crate) fn is_mark(character: char) -> bool {
    !character.is_ascii() && (is_combining_mark(character) || character.width() == Some(0))
}

/// Whether a character is a picture or a sign that can be shown as one: a little more than
/// `Extended_Pictographic` of <https://www.unicode.org/reports/tr51/>.
pub(crate) fn is_picture(character: char) -> bool {
    matches!(
        character,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}'
            | '\u{2194}'..='\u{21aa}' | '\u{231a}'..='\u{23ff}' | '\u{24c2}'
            | '\u{25aa}'..='\u{27bf}' | '\u{2934}'..='\u{2935}' | '\u{2b05}'..='\u{2b55}'
            | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1f1e5}'
            | '\u{1f200}'..='\u{1faff}'
    )
}

/// Whether a character is never seen as itself: controls (Cc), what Unicode says may be left out
/// (`Default_Ignorable_Code_Point`, with all direction marks, joiners, fillers, variation selectors
/// and tags), line and paragraph separators, what annotates, what has a meaning in one font only, and
/// what is no character.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
                | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
                | '\u{13430}'..='\u{13440}' | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}' | '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}'
                | '\u{e0000}'..='\u{10ffff}'
        )
        || matches!(u32::from(character) & 0xffff, 0xfffe | 0xffff)
}
