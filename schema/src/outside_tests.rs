use proptest::prelude::*;
use unicode_width::UnicodeWidthChar as _;

use super::{
    sight::{is_mark, is_picture},
    *,
};
use crate::escape::{display, unescape};

#[test]
fn what_could_steer_a_terminal_is_written_out() {
    assert_eq!(
        one_line("a\x1b[2Jb\nc\u{202e}d\u{9b}"),
        "a\\033[2Jb\\012c\\342\\200\\256d\\302\\233"
    );
    assert_eq!(one_line("grün \\ plain"), "grün \\ plain");
}

#[test]
fn what_has_no_width_is_written_out() {
    for hidden in [
        '\u{7f}',
        '\u{ad}',
        '\u{34f}',
        '\u{61c}',
        '\u{115f}',
        '\u{180e}',
        '\u{200b}',
        '\u{200c}',
        '\u{200d}',
        '\u{200e}',
        '\u{200f}',
        '\u{2028}',
        '\u{2029}',
        '\u{202a}',
        '\u{202e}',
        '\u{2060}',
        '\u{2066}',
        '\u{2069}',
        '\u{3164}',
        '\u{e000}',
        '\u{fe00}',
        '\u{fe0f}',
        '\u{feff}',
        '\u{fff9}',
        '\u{ffff}',
        '\u{e0001}',
        '\u{e0041}',
        '\u{e0100}',
        '\u{10fffd}',
    ] {
        let safe = one_line(&format!("a{hidden}b"));
        assert!(safe.is_ascii(), "{:x}", u32::from(hidden));
        assert!(safe.starts_with("a\\") && safe.ends_with('b'), "{safe}");
    }
}

#[test]
fn letters_and_pictures_of_all_scripts_stay() {
    for text in [
        "größe",
        "gro\u{308}\u{df}e",
        "日本語 カタカナ",
        "한국어 \u{1112}\u{1161}\u{11ab}",
        "Tiếng Việt, tie\u{302}\u{301}ng",
        "हिन्दी ภาษาไทย",
        "עִבְרִית العربية",
        "\u{1f4f7} photo",
        "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
        "\u{1f44d}\u{1f3fd} \u{1f3f3}\u{fe0f}\u{200d}\u{1f308}",
        "\u{2764}\u{fe0f} 1\u{fe0f}\u{20e3}",
        "\u{1f1e9}\u{1f1ea}",
    ] {
        assert_eq!(one_line(text), text);
        assert_eq!(display(text.as_bytes()), text);
    }
}

#[test]
fn a_mark_stands_on_a_letter_and_not_on_many_others() {
    assert_eq!(one_line("\u{301}a"), "\\314\\201a");
    assert_eq!(one_line("/\u{301}a"), "/\\314\\201a");
    assert_eq!(one_line("a \u{301}"), "a \\314\\201");
    assert_eq!(one_line("\u{200b}\u{301}"), "\\342\\200\\213\\314\\201");
    let many = format!("a{}", "\u{301}".repeat(100));
    assert_eq!(
        one_line(&many)
            .chars()
            .filter(|one| *one == '\u{301}')
            .count(),
        8
    );
}

#[test]
fn what_hides_is_written_out_where_it_must_be_found() {
    assert_eq!(visible("a\u{200b}b\u{1b}"), "a\\u200bb\\u001b");
    assert_eq!(visible("\u{e0041}"), "\\udb40\\udc41");
    assert_eq!(visible("plain"), "plain");
}

#[test]
fn a_brief_line_has_an_end_and_no_line_ends() {
    assert_eq!(brief_line("a\tb\n\u{1b}[2J", 100), "a b \u{fffd}[2J");
    assert_eq!(brief_line("four", 4), "four");
    assert_eq!(brief_line("fives", 4), "five ...");
    assert_eq!(brief_line("日本語", 4), "日本 ...");
}

#[test]
fn bytes_are_cut_between_characters() {
    assert_eq!(first_bytes("grün", 3), "gr");
    assert_eq!(first_bytes("grün", 4), "grü");
}

/// Texts with much in them that is dangerous.
fn texts() -> impl Strategy<Value = String> {
    let dangerous = prop::sample::select(vec![
        '\n',
        '\r',
        '\t',
        '\u{1b}',
        '\u{7f}',
        '\u{85}',
        '\u{9b}',
        '\u{ad}',
        '\u{301}',
        '\u{61c}',
        '\u{200b}',
        '\u{200d}',
        '\u{200f}',
        '\u{2028}',
        '\u{202e}',
        '\u{2066}',
        '\u{fe0f}',
        '\u{feff}',
        '\u{e0041}',
        '\u{1f468}',
        '\u{1f3fd}',
        '\\',
        '"',
        '日',
        'a',
        '1',
        ' ',
        '/',
    ]);
    prop::collection::vec(prop_oneof![any::<char>(), dangerous], 0..40)
        .prop_map(|characters| characters.into_iter().collect())
}

/// Whether a text is seen as it is: each character has a width, or stands on one that has.
fn is_seen(text: &str) -> bool {
    let mut before = None;
    for character in text.chars() {
        let joins = matches!(character, '\u{fe0e}' | '\u{fe0f}' | '\u{200d}');
        let stands = before.is_some_and(|before: char| {
            !before.is_ascii_punctuation() && !before.is_whitespace() || matches!(before, '#' | '*')
        });
        let on_picture = before
            .is_some_and(|before| is_picture(before) || is_mark(before) || before == '\u{fe0f}');
        let fine = match character.width() {
            None => false,
            _ if joins => on_picture || matches!(before, Some('0'..='9' | '#' | '*')),
            Some(0) => stands,
            Some(_) => {
                !matches!(character, '\u{ad}' | '\u{2028}'..='\u{202e}' | '\u{e000}'..='\u{f8ff}')
            }
        };
        if !fine {
            return false;
        }
        before = Some(character);
    }
    true
}

proptest! {
    #[test]
    fn whatever_a_text_is_it_is_seen_as_it_stands(text in texts()) {
        for safe in [one_line(&text), visible(&text), brief_line(&text, 20), display(text.as_bytes())] {
            prop_assert!(is_seen(&safe), "{:?}", safe);
            prop_assert_eq!(&one_line(&safe), &safe);
        }
    }

    #[test]
    fn a_path_as_people_read_it_leads_back_to_its_bytes(
        start: Vec<u8>, text in texts(), end: Vec<u8>
    ) {
        let path = [start, text.into_bytes(), end].concat();
        let shown = display(&path);
        prop_assert!(is_seen(&shown), "{:?}", shown);
        prop_assert_eq!(unescape(&shown), Some(path));
    }

    #[test]
    fn a_brief_line_keeps_to_its_columns(text in texts(), limit in 0..30_usize) {
        prop_assert!(columns::width(&brief_line(&text, limit)) <= limit + " ...".len());
    }

    #[test]
    fn json_means_the_same_and_hides_nothing(text in texts()) {
        let json = serde_json::to_string_pretty(&serde_json::json!({ "name": text })).unwrap();
        let safe = visible_json(&json);
        prop_assert!(safe.split('\n').all(is_seen), "{:?}", safe);
        let read: serde_json::Value = serde_json::from_str(&safe).unwrap();
        prop_assert_eq!(read["name"].as_str(), Some(&*text));
    }
}
