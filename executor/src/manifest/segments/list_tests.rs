//! What is a list of segments, and what is none.

use super::*;

#[test]
fn a_list_has_the_names_that_segments_have_and_no_others() {
    let digest = Digest::of(b"x");
    let list = list_of(&[digest; 2]);
    assert_eq!(parse_list(list.as_bytes()).unwrap(), [digest; 2]);
    let line = |at: usize| list.split_inclusive('\n').nth(at).unwrap();
    let others = [
        String::new(),
        line(0).to_owned(),
        line(1).to_owned(),
        list_of(&[digest]) + line(1),
        list.replace("manifest.000002-last.zst", "../ifest.000002-last.zst"),
        list.replace("manifest.000002-last.zst", "manifest.000001-last.zst"),
        list.replace("  manifest.000002", " *manifest.000002"),
        list.replace("manifest.000002-last", "manifest.00000:-last"),
        list.replace("manifest.000002-last", "manifest.+00002-last"),
        list.replace("-last.zst\n", "-last.zst\0"),
        list.to_uppercase(),
        list.trim_end().to_owned(),
        format!("{list}\n"),
    ];
    for other in others {
        assert!(parse_list(other.as_bytes()).is_err(), "{other:?}");
    }
}

#[test]
fn the_last_name_has_six_digits_like_the_first() {
    assert_eq!(segment_name(0, false), "manifest.000001.zst");
    assert_eq!(
        segment_name(MOST_SEGMENTS - 1, true),
        "manifest.999999-last.zst"
    );
}
