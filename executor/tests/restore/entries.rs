//! Each kind of entry comes back with all that belongs to it.

use std::{
    ffi::OsStr,
    fs::{self, File},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, symlink},
    },
    path::{Path, PathBuf},
};

use executor::{
    event::Stop,
    restore::{Choice, RecordedSnapshot, Request, plan_restore},
    sys::{Kind, attributes},
};
use schema::{
    escape::{escape, unescape},
    journal::Status,
};
use test_support::skip;

use crate::lab::{
    Lab, SUFFIX, absent, as_root, context, dir, documents, names, picture, read, set_mode,
    set_time, write,
};

#[test]
fn flags_that_are_not_set_are_said() {
    let lab = Lab::with(documents, |entries| {
        for entry in entries {
            entry.immutable = entry.path.ends_with(b"letter");
            entry.append_only = entry.path.ends_with(b"note");
        }
    });
    let outcome = lab.good("/home/ann/docs", &lab.out("docs"));
    for said in ["flags are not restored; 2 entries", "docs/letter", "chattr"] {
        assert!(outcome.message.contains(said), "{outcome:?}");
    }
}

#[test]
fn names_that_are_not_utf_8_come_back() {
    let odd = OsStr::from_bytes(b"\xff\xfe a\nb\\");
    let lab = Lab::new(|tree| {
        write(&tree.join("x").join(odd).join(odd), "odd");
        symlink(odd, tree.join("x/link")).unwrap();
    });
    let target = lab.root.path().join("out").join(odd);
    let step = {
        let home_folder = format!("daily/{}", lab.id);
        let path = Path::new("x").join(odd);
        let request = Request {
            from: &RecordedSnapshot::new(&lab.store, Some(lab.id)),
            home_folder: &home_folder,
            tree: dir(&lab.tree()),
            path: &path,
            target: &target,
            overwrite: false,
            aside_suffix: SUFFIX.into(),
            choice: Choice::default(),
            through: Vec::new(),
        };
        plan_restore(&request, &context(&Stop::default())).unwrap()
    };
    assert!(step.target.is_ascii() && unescape(&step.target).is_some());
    lab.run(&step).unwrap();
    assert_eq!(read(&target.join(odd)), "odd");
    lab.good("x", &lab.out("all"));
    assert_eq!(picture(&lab.out("all")), picture(&lab.tree().join("x")));
}

#[test]
fn a_name_of_full_length_is_restored_and_kept_aside() {
    let long = "n".repeat(255);
    let lab = Lab::new(|tree| write(&tree.join("x").join(&long), "theirs"));
    write(&lab.out("x").join(&long), "mine");
    lab.restore("x", &lab.out("x"), true).unwrap();
    assert_eq!(read(&lab.out("x").join(&long)), "theirs");
    assert_eq!(names(&lab.out("x")).len(), 2);
}

#[test]
fn sparse_files_stay_sparse() {
    let lab = Lab::new(|tree| {
        write(&tree.join("x/disk"), "");
        let file = File::options()
            .write(true)
            .open(tree.join("x/disk"))
            .unwrap();
        file.write_all_at(b"in the middle", 20 << 20).unwrap();
        file.set_len(40 << 20).unwrap();
    });
    let step = lab.plan("x", &lab.out("x"), false).unwrap();
    assert!(step.bytes < 1 << 20, "{}", step.bytes);
    assert_eq!(lab.run(&step).unwrap().status, Status::Succeeded);
    let copy = lab.out("x/disk");
    assert_eq!(copy.metadata().unwrap().len(), 40 << 20);
    assert!(copy.metadata().unwrap().blocks() * 512 < 1 << 20);
    let original = fs::read(lab.tree().join("x/disk")).unwrap();
    assert!(fs::read(copy).unwrap() == original);
}

#[test]
fn hard_links_stay_hard_links_and_never_of_the_snapshot() {
    let build = |tree: &Path| {
        write(&tree.join("x/a/one"), "shared");
        fs::create_dir(tree.join("x/b")).unwrap();
        fs::hard_link(tree.join("x/a/one"), tree.join("x/b/two")).unwrap();
        fs::hard_link(tree.join("x/a/one"), tree.join("x/three")).unwrap();
        write(&tree.join("x/other"), "shared");
    };
    for lab in [Lab::new(build), Lab::unmanaged(build)] {
        let target = lab.out("x");
        let step = lab.plan("x", &target, false).unwrap();
        assert_eq!(step.bytes, 12);
        lab.run(&step).unwrap();
        let inode = |name: &str| target.join(name).metadata().unwrap().ino();
        assert_eq!(inode("a/one"), inode("b/two"));
        assert_eq!(inode("a/one"), inode("three"));
        assert_ne!(inode("a/one"), inode("other"));
        assert_ne!(
            inode("a/one"),
            lab.tree().join("x/three").metadata().unwrap().ino()
        );
        // One that went missing is linked again to those that are there.
        fs::remove_file(target.join("b/two")).unwrap();
        lab.run(&step).unwrap();
        assert_eq!(inode("a/one"), inode("b/two"));
    }
}

#[test]
fn extended_attributes_come_from_the_tree_and_from_the_manifest() {
    let probe = tempfile::tempfile().unwrap();
    if attributes::set_fd(&probe, b"user.probe", b"x").is_err() {
        return skip("extended_attributes because there are no user attributes here");
    }
    let lab = Lab::with(
        |tree| {
            for name in ["x/file", "x/bare"] {
                write(&tree.join(name), "y");
            }
            for name in ["x", "x/file"] {
                let file = File::open(tree.join(name)).unwrap();
                attributes::set_fd(&file, b"user.colour", b"blue\0").unwrap();
            }
            // The destination's own, which the source did not have.
            let bare = File::open(tree.join("x/bare")).unwrap();
            attributes::set_fd(&bare, b"user.DOSATTRIB", b"0x20").unwrap();
        },
        |entries| {
            for entry in entries {
                match entry.path.as_bytes() {
                    b"x/file" => entry.xattrs_kept = vec![(b"user.kept".to_vec(), b"1".to_vec())],
                    b"x/bare" => entry.xattrs_digest = None,
                    _ => {}
                }
            }
        },
    );
    lab.good("x", &lab.out("x"));
    let of = |name: &str| attributes::of_fd(File::open(lab.out(name)).unwrap()).unwrap();
    let colour = (b"user.colour".to_vec(), b"blue\0".to_vec());
    assert_eq!(of("x"), std::slice::from_ref(&colour));
    assert_eq!(
        of("x/file"),
        [colour, (b"user.kept".to_vec(), b"1".to_vec())]
    );
    assert_eq!(of("x/bare"), []);
}

#[test]
fn owners_set_id_bits_and_capabilities_come_back() {
    if !as_root("owners_set_id_bits_and_capabilities_come_back") {
        return;
    }
    const CAPABILITY: &[u8] = b"security.capability";
    // cap_net_raw=ep, in version 2 of linux/capability.h's vfs_cap_data.
    let value = [1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let lab = Lab::new(|tree| {
        write(&tree.join("x/su"), "program");
        write(&tree.join("x/ping"), "program");
        symlink("su", tree.join("x/link")).unwrap();
        for (name, mode) in [("x/su", 0o6755), ("x/ping", 0o755), ("x", 0o3770)] {
            std::os::unix::fs::chown(tree.join(name), Some(1234), Some(2345)).unwrap();
            set_mode(&tree.join(name), mode);
        }
        std::os::unix::fs::lchown(tree.join("x/link"), Some(1234), Some(2345)).unwrap();
        let ping = File::open(tree.join("x/ping")).unwrap();
        attributes::set_fd(&ping, CAPABILITY, &value).unwrap();
        set_time(&tree.join("x"), 1_400_000_000);
    });
    lab.good("x", &lab.out("x"));
    assert_eq!(picture(&lab.out("x")), picture(&lab.tree().join("x")));
    let ping = File::open(lab.out("x/ping")).unwrap();
    let attributes = attributes::of_fd(&ping).unwrap();
    assert_eq!(attributes, [(CAPABILITY.to_vec(), value.to_vec())]);
}

#[test]
fn the_manifest_speaks_for_a_destination_that_holds_no_metadata() {
    let root = rustix::process::geteuid().is_root();
    let lab = Lab::with(
        |tree| {
            write(&tree.join("x/y/file"), "content");
            set_mode(&tree.join("x/y/file"), 0o777);
        },
        |entries| {
            for entry in entries {
                entry.mtime = 1_300_000_000_000_000_001;
                entry.mode = if entry.kind == Kind::Folder {
                    0o710
                } else {
                    0o4640
                };
                if root {
                    (entry.uid, entry.gid) = (1001, 1002);
                }
            }
        },
    );
    lab.good("x", &lab.out("x"));
    for (name, mode) in [("x", 0o710), ("x/y", 0o710), ("x/y/file", 0o4640)] {
        let stat = lab.out(name).metadata().unwrap();
        assert_eq!(stat.mode() & 0o7777, mode, "{name}");
        assert_eq!(
            (stat.mtime(), stat.mtime_nsec()),
            (1_300_000_000, 1),
            "{name}"
        );
        assert!(!root || (stat.uid(), stat.gid()) == (1001, 1002));
    }
    let step = lab.plan("x", &lab.out("x"), false).unwrap();
    assert_eq!((step.creates, step.conflict_count), (0, 0));
}

#[test]
fn what_the_destination_could_not_hold_is_made_again() {
    let root = as_root("what_the_destination_could_not_hold_is_made_again (the device)");
    let lab = Lab::with(
        |tree| write(&tree.join("x/m/file"), "content"),
        |entries| {
            let mut link = absent("x/a", Kind::Symlink);
            link.target = Some(b"m/file".to_vec());
            let mut nested = absent("x/m/zz", Kind::Symlink);
            nested.target = Some(b"\xff".to_vec());
            entries.extend([link, nested, absent("x/m/fifo", Kind::Fifo)]);
            entries.extend([absent("x/s", Kind::Socket), absent("x/void", Kind::Folder)]);
            if root {
                let mut device = absent("x/z", Kind::CharDevice);
                device.device = Some((1, 3));
                entries.push(device);
            } else {
                let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
                for entry in entries.iter_mut() {
                    (entry.uid, entry.gid) = (uid.as_raw(), gid.as_raw());
                }
            }
            entries.sort_by(|a, b| a.path.cmp(&b.path));
        },
    );
    let target = lab.out("x");
    lab.good("x", &target);
    assert_eq!(
        fs::read_link(target.join("a")).unwrap(),
        Path::new("m/file")
    );
    assert_eq!(
        fs::read_link(target.join("m/zz")).unwrap(),
        Path::new(OsStr::from_bytes(b"\xff"))
    );
    let stat = target.join("m/fifo").symlink_metadata().unwrap();
    assert!(stat.file_type().is_fifo());
    assert_eq!((stat.mode() & 0o7777, stat.mtime()), (0o640, 1_300_000_000));
    assert!(
        target
            .join("s")
            .symlink_metadata()
            .unwrap()
            .file_type()
            .is_socket()
    );
    assert!(target.join("void").is_dir());
    if root {
        let stat = target.join("z").symlink_metadata().unwrap();
        assert!(stat.file_type().is_char_device());
        assert_eq!(stat.rdev(), rustix::fs::makedev(1, 3));
    }
    // Also alone, and twice.
    lab.good("x/m/zz", &lab.out("alone"));
    assert!(
        lab.good("x", &target)
            .message
            .contains("restored 0 entries")
    );
}

#[test]
fn a_read_only_folder_comes_back_with_its_content() {
    let lab = Lab::new(|tree| {
        write(&tree.join("x/locked/file"), "content");
        set_mode(&tree.join("x/locked"), 0o555);
    });
    lab.good("x", &lab.out("x"));
    assert_eq!(picture(&lab.out("x")), picture(&lab.tree().join("x")));
    for locked in [lab.out("x/locked"), lab.tree().join("x/locked")] {
        set_mode(&locked, 0o755);
    }
}

#[test]
fn entries_do_not_inherit_what_the_target_folder_passes_on() {
    const DEFAULT: &[u8] = b"system.posix_acl_default";
    // Version 2 of linux/posix_acl_xattr.h: owner, user 1234, group, mask, others.
    let mut acl = vec![2, 0, 0, 0];
    for (tag, rights, id) in [
        (1_u16, 7_u16, !0_u32),
        (2, 7, 1234),
        (4, 5, !0),
        (16, 7, !0),
        (32, 5, !0),
    ] {
        acl.extend(tag.to_le_bytes());
        acl.extend(rights.to_le_bytes());
        acl.extend(id.to_le_bytes());
    }
    let lab = Lab::new(documents);
    let out = File::open(lab.out("")).unwrap();
    if attributes::set_fd(&out, DEFAULT, &acl).is_err() {
        return skip("entries_do_not_inherit because there are no access control lists here");
    }
    lab.good("/home/ann/docs", &lab.out("docs"));
    lab.good("/home/ann/docs/letter", &lab.out("letter"));
    assert_eq!(
        picture(&lab.out("docs")),
        picture(&lab.tree().join("home/ann/docs"))
    );
    for path in ["docs", "docs/deep", "docs/letter", "letter"] {
        let file = File::open(lab.out(path)).unwrap();
        assert_eq!(attributes::of_fd(&file).unwrap(), [], "{path}");
    }
}

#[test]
fn the_snapshot_is_not_touched() {
    let lab = Lab::new(|tree| {
        documents(tree);
        fs::hard_link(
            tree.join("home/ann/docs/letter"),
            tree.join("home/ann/same"),
        )
        .unwrap();
    });
    let times = || -> Vec<_> {
        walkdir::WalkDir::new(lab.host())
            .sort_by_file_name()
            .into_iter()
            .map(|entry| {
                let stat = entry.unwrap().path().symlink_metadata().unwrap();
                (stat.ctime(), stat.ctime_nsec(), stat.nlink(), stat.ino())
            })
            .collect()
    };
    let before = times();
    lab.good("/", &lab.out("all"));
    write(&lab.out("all/home/ann/docs/letter"), "mine");
    lab.restore("/", &lab.out("all"), true).unwrap();
    assert_eq!(times(), before);
}

#[test]
fn a_deep_tree_costs_no_stack() {
    let lab = Lab::new(|tree| {
        let mut path = tree.join("x");
        for _ in 0..150 {
            path.push("d");
        }
        write(&path.join("bottom"), "deep");
    });
    lab.good("x", &lab.out("x"));
    assert_eq!(picture(&lab.out("x")), picture(&lab.tree().join("x")));
}

#[test]
fn owners_come_back_by_name_where_it_is_known_and_by_number_where_not() {
    if !as_root("owners_come_back_by_name_where_it_is_known_and_by_number_where_not") {
        return;
    }
    let lab = Lab::with(
        |tree| {
            write(&tree.join("x/known"), "1");
            write(&tree.join("x/gone"), "2");
            write(&tree.join("x/plain"), "3");
        },
        |entries| {
            for entry in entries.iter_mut() {
                (entry.uid, entry.gid) = (64_001, 64_002);
                let (user, group) = match entry.path.as_bytes() {
                    b"x/known" => ("daemon", "daemon"),
                    b"x/gone" => ("nobody has this name", "nor this"),
                    _ => continue,
                };
                entry.owners.user = Some(user.into());
                entry.owners.group = Some(group.into());
            }
        },
    );
    let owner = |path: PathBuf| {
        let stat = path.metadata().unwrap();
        (stat.uid(), stat.gid())
    };
    let daemon = (
        executor::sys::owners::user_number(&"daemon".into()).unwrap(),
        executor::sys::owners::group_number(&"daemon".into()).unwrap(),
    );
    let target = lab.out("x");
    let mut step = lab.plan("x", &target, false).unwrap();
    let outcome = lab.run(&step).unwrap();
    assert_eq!(outcome.status, Status::Succeeded, "{outcome:?}");
    for said in [
        "user nobody has this name is 64001",
        "group nor this is 64002",
    ] {
        assert!(outcome.message.contains(said), "{}", outcome.message);
    }
    assert!(!outcome.message.contains("daemon"), "{}", outcome.message);
    assert_eq!(owner(target.join("known")), daemon);
    assert_eq!(owner(target.join("gone")), (64_001, 64_002));
    assert_eq!(owner(target.join("plain")), (64_001, 64_002));
    // What is there by name is there.
    assert_eq!(lab.plan("x", &target, false).unwrap().conflict_count, 0);

    let by_number = lab.out("y");
    step.target = escape(by_number.as_os_str().as_bytes());
    step.numeric_ids = true;
    let outcome = lab.run(&step).unwrap();
    assert!(!outcome.message.contains("note:"), "{}", outcome.message);
    assert_eq!(owner(by_number.join("known")), (64_001, 64_002));
}
