//! What an upload puts, and what it does not.

use std::{collections::BTreeSet, fs, os::unix::ffi::OsStrExt as _};

use schema::journal::Status;

use crate::lab::{Lab, id};

/// Two papers, a copy of one of them and an empty file.
pub(crate) fn fill(lab: &Lab, day: u32) {
    lab.write(day, "home/ann/one", "one\n");
    lab.write(day, "home/ann/two", "two\n");
    lab.write(day, "home/bob/copy of one", "one\n");
    lab.write(day, "home/bob/empty", "");
}

#[test]
fn what_is_there_is_not_put_again_and_nothing_is_written_over_or_removed() {
    let Some(lab) = Lab::new("uploads") else {
        return;
    };
    fill(&lab, 1);
    let first = lab.upload(1);
    assert!(first.is_new);
    assert_eq!((first.id, first.objects, first.bytes), (id(1), 3, 8));
    assert_eq!(
        first.outcome.status,
        Status::Succeeded,
        "{:?}",
        first.outcome
    );
    let before = lab.all_far();
    // A renamed folder, a copy, another mode, a second path: all but one content is there.
    fill(&lab, 2);
    fs::rename(lab.tree(2).join("home/ann"), lab.tree(2).join("home/anna")).unwrap();
    lab.write(2, "home/bob/another", "two\n");
    lab.write(2, "home/bob/new", "new\n");
    let second = lab.upload(2);
    assert_eq!((second.id, second.objects, second.bytes), (id(2), 1, 4));
    let after = lab.all_far();
    for (path, file) in &before {
        assert_eq!(after.get(path), Some(file), "{path:?}");
    }
    // An object, a manifest and a record came.
    assert_eq!(after.len(), before.len() + 3);
    assert_eq!(
        lab.verify(executor::cloud::verify::Share::All).damage_count,
        0
    );
}

#[test]
fn with_nothing_changed_the_remote_is_asked_once() {
    let Some(lab) = Lab::new("uploads") else {
        return;
    };
    fill(&lab, 1);
    let sealed = lab.seal(1);
    lab.upload_sealed(1, &sealed).unwrap();
    lab.calls();
    let before = lab.all_far();
    let again = lab.upload_sealed(1, &sealed).unwrap();
    assert!(!again.is_new);
    assert_eq!((again.id, lab.calls().len()), (id(1), 1));
    // A later snapshot whose manifest is the same one.
    let mut later = lab.seal(1);
    later.record.id = id(2);
    later.record.day = id(2).local().date();
    let same = lab.upload_sealed(1, &later).unwrap();
    assert!(!same.is_new);
    assert_eq!((same.id, lab.calls().len()), (id(1), 1));
    assert_eq!(lab.all_far(), before);
    // The next record tells of it.
    fill(&lab, 3);
    lab.upload(3);
    let known = lab.known();
    let told: Vec<_> = known.records[&id(3)]
        .same
        .iter()
        .map(|same| (same.id, same.like))
        .collect();
    assert_eq!(told, [(id(2), id(1))]);
    // Only another manifest: its calls are as many, whatever the remote holds.
    lab.calls();
    fill(&lab, 4);
    let only_manifest = lab.upload(4);
    assert_eq!((only_manifest.is_new, only_manifest.objects), (true, 0));
    assert_eq!(lab.calls().len(), 4);
}

#[test]
fn another_machine_finds_all_that_is_there() {
    let Some(mut lab) = Lab::new("uploads") else {
        return;
    };
    fill(&lab, 1);
    lab.upload(1);
    lab.write(2, "home/other", "other\n");
    let sealed = lab.seal(2);
    lab.upload_sealed(2, &sealed).unwrap();
    lab.calls();
    lab.cache = "lost".to_owned();
    let found = lab.upload_sealed(2, &sealed).unwrap();
    assert!(!found.is_new);
    // A list, the records, the manifests.
    assert_eq!(lab.calls().len(), 3);
    assert_eq!(
        lab.known().records.keys().copied().collect::<Vec<_>>(),
        [id(1), id(2)]
    );
    fill(&lab, 3);
    lab.write(3, "home/other", "other\n");
    lab.write(3, "home/new", "new\n");
    assert_eq!(lab.upload(3).objects, 1);
}

#[test]
fn no_name_there_is_one_that_a_remote_could_refuse() {
    let Some(lab) = Lab::new("uploads") else {
        return;
    };
    let odd: [&[u8]; 9] = [
        b"a:b",
        b"con",
        b"trailing. ",
        b"new\nline",
        b"gro\xdf",
        "\u{201b}\u{2421}".as_bytes(),
        b"-rf",
        b"back\\slash",
        b"*?<>|\"",
    ];
    for (number, name) in odd.iter().enumerate() {
        let name = std::ffi::OsStr::from_bytes(name);
        lab.write(
            1,
            std::path::Path::new("home").join(name),
            format!("{number}\n"),
        );
    }
    let uploaded = lab.upload(1);
    assert_eq!(
        (uploaded.objects, uploaded.outcome.status),
        (9, Status::Succeeded)
    );
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    let folders: BTreeSet<String> = walkdir::WalkDir::new(lab.far(""))
        .min_depth(1)
        .into_iter()
        .map(|entry| {
            let entry = entry.unwrap();
            assert!(
                entry.file_name().as_bytes().iter().all(|byte| plain(*byte)),
                "{entry:?}"
            );
            let path = entry.path().strip_prefix(lab.far("")).unwrap();
            path.iter().next().unwrap().to_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(
        folders,
        ["manifests", "objects", "records"]
            .map(str::to_owned)
            .into()
    );
    let (brought, tree) = lab.fetch(None, &[""]);
    assert_eq!((brought.files, brought.missing), (9, 0));
    assert_eq!(
        crate::lab::contents(&tree),
        crate::lab::contents(&lab.tree(1))
    );
}

#[test]
fn a_path_that_no_call_takes_is_put_too() {
    let Some(lab) = Lab::new("uploads") else {
        return;
    };
    fs::create_dir_all(lab.tree(1)).unwrap();
    let mut deep = crate::lab::dir(&lab.tree(1));
    let long = "d".repeat(250);
    for _ in 0..17 {
        deep = deep.folder_or_new(long.as_ref(), 0o700).unwrap();
    }
    deep.write_whole("file", b"deep\n").unwrap();
    // The manifest of the lab's walk reads by path: this one is written by hand.
    let path = format!("{}/file", [long.as_str(); 17].join("/"));
    let mut list = Vec::new();
    let stat = deep.stat("file".as_ref()).unwrap();
    let mut entry = executor::manifest::Entry::of(schema::StoredPath::new(path.as_bytes()), &stat);
    entry.digest = Some(schema::Digest::of(b"deep\n"));
    list.push(entry);
    let sealed = lab.seal_list(1, &list);
    assert_eq!(lab.upload_sealed(1, &sealed).unwrap().objects, 1);
    assert_eq!(fs::read(lab.object("deep\n")).unwrap(), b"deep\n");
}

#[test]
fn what_the_remote_does_not_take_leaves_the_manifest() {
    let Some(lab) = Lab::new("uploads") else {
        return;
    };
    fill(&lab, 1);
    // Something stands in the place of an object.
    fs::create_dir_all(lab.object("two\n").join("x")).unwrap();
    let uploaded = lab.upload(1);
    assert_eq!(uploaded.outcome.status, Status::Incomplete);
    assert_eq!(uploaded.objects, 2);
    let paths: Vec<_> = uploaded
        .outcome
        .problems
        .iter()
        .map(|one| one.path.as_str())
        .collect();
    assert_eq!(paths, ["/home/ann/two"]);
    let record = &lab.known().records[&id(1)];
    assert!(!record.snapshot.complete);
    assert_eq!(record.snapshot.totals.files, 3);
    assert_eq!(record.not_uploaded, uploaded.outcome.problems);
    let (brought, _) = lab.fetch(Some(1), &[""]);
    assert_eq!((brought.files, brought.missing), (3, 0));
    // The next snapshot of the same sources has it.
    fs::remove_dir_all(lab.object("two\n")).unwrap();
    let mut later = lab.seal(1);
    later.record.id = id(2);
    let uploaded = lab.upload_sealed(1, &later).unwrap();
    assert_eq!((uploaded.is_new, uploaded.objects), (true, 1));
    assert_eq!(uploaded.outcome.status, Status::Succeeded);
}

#[test]
fn what_was_said_of_a_snapshot_is_said_there_and_never_written_over() {
    let Some(lab) = Lab::new("uploads") else {
        return;
    };
    fill(&lab, 1);
    let pinned = schema::record::SnapshotMarks {
        pinned: true,
        ..schema::record::SnapshotMarks::default()
    };
    lab.upload_marked(1, &lab.seal(1), &pinned).unwrap();
    let first = lab.far(&format!("records/{}.marks-1.json", id(1)));
    let before = fs::read(&first).unwrap();
    lab.with(|remote| {
        let known = remote.refresh().unwrap();
        remote
            .mark(&known, id(1), &schema::record::SnapshotMarks::default())
            .unwrap();
    });
    assert_eq!(fs::read(&first).unwrap(), before);
    assert!(lab.far(&format!("records/{}.marks-2.json", id(1))).exists());
    // On a new machine the last one counts, and one that is damaged means pinned.
    let mut lab = lab;
    for (cache, is_pinned) in [("second", false), ("third", true)] {
        lab.cache = cache.to_owned();
        lab.known();
        let path = lab.with(|remote| remote.destination_path());
        let mount = crate::lab::dir(path.as_ref());
        let store = executor::store::Store::open(&mount, &path, crate::lab::HOST)
            .unwrap()
            .unwrap();
        assert_eq!(store.marks(id(1)).unwrap().pinned, is_pinned);
        assert!(store.manifest(id(1)).is_ok());
        fs::write(lab.far(&format!("records/{}.marks-2.json", id(1))), "{").unwrap();
    }
}

#[test]
fn the_page_of_formats_says_all_that_is_there() {
    let test = "the page of formats";
    let Some(mut lab) = Lab::new(test) else {
        return;
    };
    fill(&lab, 1);
    lab.upload(1);
    lab.write(2, "home/two", "two\n");
    lab.write(2, "home/more", "more\n");
    fs::create_dir_all(lab.object("more\n").join("x")).unwrap();
    let pinned = schema::record::SnapshotMarks {
        pinned: true,
        ..schema::record::SnapshotMarks::default()
    };
    lab.upload_marked(2, &lab.seal(2), &pinned).unwrap();
    fs::remove_dir_all(lab.object("more\n")).unwrap();
    fs::write(lab.far("records/2025-03-01_02-00-00.expired.json"), "{}").unwrap();
    // So that this says what it does, and leaves it said.
    lab.may_delete = false;
    fill(&lab, 3);
    lab.upload(3);
    let Some(ran) = test_support::read_by_format_page(test, "history", &lab.far("")) else {
        return;
    };
    let told = ran.expect(0).json();
    assert_eq!(told["snapshots"][id(1).to_string()]["files"], 4);
    assert_eq!(
        told["snapshots"][id(2).to_string()]["not_uploaded"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!((&told["objects"], &told["needed"]), (&3.into(), &3.into()));
    // The reader of the examples says what is missing, and of the others that they are whole.
    let check = |day| {
        let id = id(day).to_string();
        test_support::check_with_example(test, &lab.far(""), Some(&id)).unwrap()
    };
    check(1).expect(0);
    check(2).expect(1).says("home/more: not-stored");
    check(3).expect(0);
}
