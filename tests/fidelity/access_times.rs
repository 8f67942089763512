//! Reading leaves no trace: the access times of sources stay as they were.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use test_support::skip;

use crate::lab::{DAYS, ENGINES, Engine, World, is_missing, run_tool};

/// A memory file system that notes each access, until this is dropped.
struct Strict(PathBuf);

impl Strict {
    fn mount(at: PathBuf) -> Option<Self> {
        let words = ["-t", "tmpfs", "-o", "strictatime,size=16M", "none"];
        let status = Command::new("mount").args(words).arg(&at).status().unwrap();
        status.success().then_some(Self(at))
    }
}

impl Drop for Strict {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// All entries but symlinks: the kernel has no way to read one of those without noting it.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let all = walkdir::WalkDir::new(folder).into_iter();
    all.map(Result::unwrap)
        .filter(|entry| !entry.path_is_symlink())
        .map(walkdir::DirEntry::into_path)
        .collect()
}

#[test]
fn sources_keep_their_access_times() {
    let name = "sources_keep_their_access_times";
    if is_missing(name, &["mount"], true) {
        return;
    }
    for engine in ENGINES {
        let world = World::new(engine, &["src"]);
        let source = world.path("src");
        let Some(_mounted) = Strict::mount(source.clone()) else {
            return skip(&format!("{name} because nothing can be mounted here"));
        };
        for number in 0..20 {
            let folder = source.join(format!("folder {number}/below"));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("file"), vec![b'x'; number * 1000]).unwrap();
            std::os::unix::fs::symlink("file", folder.join("link")).unwrap();
        }
        run_tool(
            "touch",
            [
                "-a".as_ref(),
                source.join("folder 3/below/file").as_os_str(),
            ],
        );
        // Listing notes that it did, so it comes before the first look.
        let mut paths = entries(&source);
        // rsync notes what it lists; what it reads it opens without a trace.
        if engine == Engine::Rsync {
            paths.retain(|path| path.is_file());
        }
        let times = || -> Vec<(i64, i64)> {
            let stats = paths.iter().map(|path| path.symlink_metadata().unwrap());
            stats
                .map(|stat| (stat.atime(), stat.atime_nsec()))
                .collect()
        };
        let before = times();
        world.apply(DAYS[0], 0);
        let unread = |when: &str| {
            let now = times();
            let differ = paths.iter().zip(before.iter().zip(&now));
            let differ: Vec<_> = differ.filter(|(_, (old, new))| old != new).collect();
            assert!(differ.is_empty(), "{engine:?}, {when}: {differ:?}");
        };
        unread("first run");
        world.apply(DAYS[1], 0);
        unread("nothing changed");
        // One that is read again although nothing but its change time moved.
        fs::hard_link(source.join("folder 5/below/file"), source.join("name")).unwrap();
        world.apply(DAYS[2], 0);
        unread("a new link");
        // It would have shown: a plain read does.
        fs::read(source.join("folder 7/below/file")).unwrap();
        assert_ne!(times(), before);
    }
}
