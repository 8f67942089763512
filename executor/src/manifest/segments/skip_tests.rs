//! Skipping stretches of a manifest, and taking their segments over.

use std::fs;

use schema::{StoredPath, StoredPathBuf};

use super::{
    tests::{Model, dir, open, records, tree, write},
    *,
};
use crate::manifest::{Cursor, Reader};

/// The places of the first lines of the segments, and of the end.
fn starts(segments: &Arc<Segments>) -> Vec<u64> {
    let mut cursor = Cursor::new(Reader::of_segments(Arc::clone(segments)).unwrap());
    assert_eq!(cursor.lines_of_segments(), None);
    cursor.pass_all(&mut |_| {}).unwrap();
    let lines = cursor.lines_of_segments().unwrap();
    let mut end = 0;
    let ends = lines.iter().map(|lines| {
        end += lines;
        end
    });
    std::iter::once(0).chain(ends).collect()
}

fn paths(model: &Model) -> Vec<&StoredPath> {
    model.keys().map(|path| &**path).collect()
}

/// A path as a line has it, and as it is.
fn plain(path: &StoredPath) -> StoredPathBuf {
    let path = schema::escape::unescape(path.as_bytes()).unwrap();
    StoredPathBuf::from(path)
}

#[test]
fn what_is_skipped_is_not_read_and_what_is_before_it_is_told() {
    let temporary = tempfile::tempdir().unwrap();
    let model = tree(40, 200);
    let at = records(temporary.path(), 1);
    write(&at, &model, None, 1);
    let starts = starts(&open(&at));
    let all = paths(&model);
    let end = *starts.last().unwrap();
    assert!(starts.len() > 6 && end == all.len() as u64);
    let place = |at: u64| usize::try_from(at).unwrap();
    for (asked, from, to) in [
        (0, 1, end),
        (3, 4, 5),
        (3, 9, starts[3]),
        (3, 4, starts[3] + 1),
        (starts[2], starts[2] + 1, starts[4] - 1),
        (starts[2] - 1, starts[2], end - 1),
    ] {
        let mut cursor = Cursor::new(Reader::of_segments(open(&at)).unwrap());
        let mut passed = 0;
        let found = cursor.find(&plain(all[place(asked)])).unwrap();
        assert!(found.is_some());
        cursor
            .skip((from, to), &starts, &mut |_| passed += 1)
            .unwrap();
        assert_eq!(passed, from - asked - 1, "{from} to {to}");
        let next = cursor.place(StoredPath::root()).unwrap();
        assert_eq!(next, (to, to < end));
        if to < end {
            let looks = cursor.find_looks(&plain(all[place(to)]), &mut |_| {});
            let (line, _) = looks.unwrap().unwrap().line.unwrap();
            assert_eq!(line, to);
        }
        // A place that is behind it.
        assert!(cursor.skip((0, 1), &starts, &mut |_| {}).is_err());
    }
    // Of a segment in their middle nothing is there any more.
    fs::remove_file(at.join(FOLDER).join(segment_name(3, false))).unwrap();
    let mut cursor = Cursor::new(Reader::of_segments(open(&at)).unwrap());
    cursor.skip((5, end - 1), &starts, &mut |_| {}).unwrap();
    let last = cursor.find(&plain(all[all.len() - 1])).unwrap();
    assert!(last.is_some());
}

#[test]
fn segments_that_are_taken_over_make_the_manifest_that_their_lines_make() {
    let temporary = tempfile::tempdir().unwrap();
    let model = tree(40, 200);
    let before = records(temporary.path(), 1);
    let digest = write(&before, &model, None, 1);
    let basis = open(&before);
    let text = |at: usize| {
        let text = basis.text(at).unwrap();
        text[header_length(&text)..].to_vec()
    };
    for threads in [1, 2] {
        let after = records(temporary.path(), 1 + threads);
        let writer = SegmentWriter::new(
            &dir(&after),
            FOLDER,
            Some(Arc::clone(&basis)),
            threads,
            false,
        );
        let mut writer = writer.unwrap();
        assert!(!writer.is_between());
        let last = basis.digests().len() - 1;
        writer.write_lines(&text(0)).unwrap();
        assert!(writer.ends_before(&text(1)).unwrap() && writer.is_between());
        assert!(!writer.ends_before(&text(1)).unwrap());
        writer.take_segment(1).unwrap();
        writer.write_lines(&text(2)).unwrap();
        assert!(!writer.is_between());
        assert!(writer.ends_before(&text(3)).unwrap());
        for at in 3..last {
            writer.take_segment(at).unwrap();
        }
        writer.write_lines(&text(last)).unwrap();
        assert_eq!(writer.finish().unwrap(), digest);
        let now = open(&after);
        assert!((0..=last).all(|at| now.shares(at, &basis)));
    }
}
