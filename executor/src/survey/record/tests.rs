use std::ffi::OsStr;

use super::*;

#[test]
fn all_that_was_met_comes_back_in_order() {
    let file = Stat {
        kind: Kind::File,
        mode: 0o4755,
        uid: u32::MAX,
        gid: 100,
        size: u64::MAX,
        allocated: 4096,
        mtime: -1,
        ctime: 1_736_992_800_123_456_789,
        dev: 77,
        ino: u64::MAX,
        nlink: 3,
        device: (0, 0),
        mount: 12,
        mount_root: false,
        immutable: true,
        append_only: false,
    };
    let device = Stat {
        kind: Kind::BlockDevice,
        nlink: 1,
        device: (8, 1),
        ctime: -1,
        immutable: false,
        mount_root: true,
        ..file
    };
    let folder = Stat {
        kind: Kind::Folder,
        dev: 78,
        device: (0, 0),
        ..device
    };
    let all = [
        Encountered::Enter(folder),
        Encountered::Leaf(file),
        Encountered::Leaf(device),
        Encountered::Hollow(file),
        Encountered::MountPoint(folder),
        Encountered::Unreadable(Some(folder), Errno::ACCESS),
        Encountered::Unreadable(None, Errno::IO),
        Encountered::Vanished,
        Encountered::Leave,
    ];
    let long = OsString::from_vec(vec![b'\xff'; 255]);
    let mut recorder = Recorder::default();
    for _ in 0..3000 {
        for met in &all {
            let content = match met {
                met if *met == Encountered::Leaf(file) => Content::Other,
                Encountered::Leaf(_) => Content::Changed,
                Encountered::Hollow(_) => Content::LeftOut,
                _ => Content::Unknown,
            };
            recorder.add(&long, met, content).unwrap();
        }
        recorder.pass_over();
    }
    let record = recorder.finish().unwrap();
    let full = record.look_through();
    // Looking through it takes nothing away.
    for mut record in [record.look_through(), record] {
        for round in 0..3000 {
            for (at, met) in all.iter().enumerate() {
                let (name, found) = record.next_met().unwrap().unwrap();
                assert_eq!(found, *met);
                assert!(name == long || found == Encountered::Leave);
                let leaf = matches!(met, Encountered::Leaf(_));
                let changed = found != Encountered::Leaf(file);
                assert!(!leaf || (record.is_other() && record.is_changed() == changed));
                assert_eq!(record.passed_over(), at == 0 && round > 0);
            }
        }
        assert!(record.next_met().unwrap().is_none());
        assert!(record.passed_over());
    }
    // So much of it can be passed without being read.
    let length = 3000 * all.len() as u64;
    for skipped in [1, 9, 5000, 26_990, length - 1, length] {
        let mut record = full.look_through();
        record.next_met().unwrap();
        record.skip(skipped - 1).unwrap();
        assert_eq!(record.given(), skipped);
        let at = usize::try_from(skipped).unwrap() % all.len();
        let next = record.next_met().unwrap();
        match skipped == length {
            true => assert!(next.is_none()),
            false => assert_eq!(next.unwrap().1, all[at]),
        }
    }
    let mut recorder = Recorder::default();
    for content in [Content::Same, Content::Unknown] {
        let met = Encountered::Leaf(file);
        recorder.add(&long, &met, content).unwrap();
    }
    let mut record = recorder.finish().unwrap();
    let mut again = record.marked(MarkRecorder::default());
    assert!(again.next_met().is_err(), "a leaf without a mark");
    for same in [true, false] {
        let (_, found) = record.next_met().unwrap().unwrap();
        assert_eq!((found, record.is_same()), (Encountered::Leaf(file), same));
    }
}

#[test]
fn what_is_left_out_is_told_to_who_compares_again_and_only_passed_over_for_all_others() {
    let name = |text: &str| OsString::from(text);
    let mut recorder = Recorder::default();
    recorder.exclude(OsStr::new("a.o")).unwrap();
    recorder.exclude(OsStr::new("b.o")).unwrap();
    let vanished = Encountered::Vanished;
    recorder
        .add(OsStr::new("c"), &vanished, Content::Unknown)
        .unwrap();
    recorder
        .rest_unreadable(OsStr::new("folder"), Errno::ACCESS)
        .unwrap();
    recorder.exclude(OsStr::new("d.o")).unwrap();
    let mut record = recorder.finish().unwrap();
    let mut noted = record.look_through();
    let all = std::iter::from_fn(|| noted.next_noted().unwrap());
    assert_eq!(
        all.collect::<Vec<_>>(),
        [
            (name("a.o"), Noted::Excluded),
            (name("b.o"), Noted::Excluded),
            (name("c"), Noted::Met(vanished)),
            (name("folder"), Noted::RestUnreadable(Errno::ACCESS)),
            (name("d.o"), Noted::Excluded),
        ]
    );
    let met = record.next_met().unwrap();
    assert_eq!(
        (met, record.passed_over()),
        (Some((name("c"), vanished)), true)
    );
    let rest = Encountered::Unreadable(None, Errno::ACCESS);
    let met = record.next_met().unwrap();
    assert_eq!(
        (met, record.passed_over()),
        (Some((name("folder"), rest)), false)
    );
    assert_eq!(
        (record.next_met().unwrap(), record.passed_over()),
        (None, true)
    );
}
