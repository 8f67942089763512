//! What is brought back is what was uploaded.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, symlink},
};

use executor::store::Store;

use crate::lab::{HOST, Lab, contents, dir, id};

fn fill(lab: &Lab, day: u32) {
    for number in 0..40 {
        // Half of them have the content of another.
        lab.write(
            day,
            format!("home/{}/{number}", number % 7),
            format!("{}\n", number / 2),
        );
    }
    lab.write(day, "home/large", vec![b'x'; 3 << 20]);
    lab.write(day, "home/empty", "");
    fs::hard_link(
        lab.tree(day).join("home/large"),
        lab.tree(day).join("home/link"),
    )
    .unwrap();
    symlink("large", lab.tree(day).join("home/symlink")).unwrap();
    fs::create_dir(lab.tree(day).join("home/nothing")).unwrap();
}

#[test]
fn a_snapshot_comes_back_as_it_was_from_its_manifest_and_its_objects() {
    let Some(mut lab) = Lab::new("fetched") else {
        return;
    };
    fill(&lab, 1);
    lab.upload(1);
    fill(&lab, 2);
    lab.write(2, "home/3/3", "another\n");
    fs::remove_file(lab.tree(2).join("home/4/4")).unwrap();
    let sealed = lab.seal(2);
    lab.upload_sealed(2, &sealed).unwrap();
    // By a machine that knows nothing.
    lab.cache = "new".to_owned();
    for day in [1, 2] {
        let (brought, tree) = lab.fetch(Some(day), &[""]);
        let wanted = contents(&lab.tree(day));
        assert_eq!((brought.files, brought.missing), (wanted.len() as u64, 0));
        assert_eq!(contents(&tree), wanted);
        let into = lab.path("into");
        let store = Store::open(&dir(&into), into.to_str().unwrap(), HOST)
            .unwrap()
            .unwrap();
        let record = store.record(id(day)).unwrap().unwrap();
        assert!(store.manifest_fault(&record, &lab.stop).unwrap().is_none());
    }
    // What was made for a restore of all is gone with it, and what is there is not asked for again.
    assert!(!lab.path("into/objects").exists());
    lab.calls();
    let (brought, _) = lab.fetch(None, &[""]);
    assert_eq!((brought.id, brought.missing), (id(2), 0));
    assert_eq!(lab.calls().len(), 1);
}

#[test]
fn of_what_is_asked_for_in_part_only_that_comes() {
    let Some(lab) = Lab::new("fetched") else {
        return;
    };
    fill(&lab, 1);
    lab.upload(1);
    let (brought, tree) = lab.fetch(None, &["home/3", "home/empty"]);
    assert_eq!((brought.files, brought.missing), (7, 0));
    let found = contents(&tree);
    assert_eq!(found.len(), 7);
    for (path, content) in found {
        assert_eq!(
            fs::read(lab.tree(1).join(&path)).unwrap(),
            content,
            "{path:?}"
        );
    }
    // What an interrupted restore left is not believed.
    let file = tree.join("home/3/3");
    let inode = fs::metadata(&file).unwrap().ino();
    fs::write(&file, "?\n").unwrap();
    let (brought, _) = lab.fetch(None, &["home/3"]);
    assert_eq!((brought.files, brought.missing), (6, 0));
    assert_eq!(fs::read(&file).unwrap(), b"1\n");
    assert_ne!(fs::metadata(&file).unwrap().ino(), inode);
}

#[test]
fn an_object_that_is_not_what_its_name_says_is_not_brought() {
    let Some(lab) = Lab::new("fetched") else {
        return;
    };
    fill(&lab, 1);
    lab.upload(1);
    fs::write(lab.object("3\n"), "4\n").unwrap();
    fs::remove_file(lab.object("5\n")).unwrap();
    let (brought, tree) = lab.fetch(None, &[""]);
    assert_eq!(brought.missing, 4);
    let good = contents(&lab.tree(1));
    let came = contents(&tree);
    let missing: Vec<_> = good
        .iter()
        .filter(|(path, content)| came.get(*path) != Some(content))
        .collect();
    assert!(
        missing
            .iter()
            .all(|(_, content)| [b"3\n", b"5\n"].contains(&content.as_slice().try_into().unwrap()))
    );
    assert_eq!(missing.len(), 4);
}
