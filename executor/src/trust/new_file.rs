//! A file that is written where others cannot change it.

use std::{
    ffi::{OsStr, OsString},
    fs::{File, Permissions},
    io::Write as _,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
};

use nix::unistd::geteuid;
use rustix::io::Errno;
use schema::{FailureCode, escape};

use super::{
    judge::{End, name_user},
    open::{absolute, open_shared_folder, resolve_folder},
};
use crate::{
    error::{Error, Result},
    sys::{Dir, Kind, Stat, open::set_owner},
};

/// The place of a file that is to be written: nothing, or a file of the same user, is there.
#[derive(Debug)]
pub struct NewFile {
    folder: Dir,
    name: OsString,
    path: PathBuf,
    /// The folder of another user, for whom root writes it.
    of_user: Option<Stat>,
}

impl NewFile {
    /// Finds the place of a file, in a folder in which others cannot change it; `what` it is stands in
    /// the error. Writes nothing.
    ///
    /// # Errors
    /// Refused if others could change it there, or if something else is there already: the file of
    /// another user, a symlink, a pipe, a folder; fails if the folder cannot be opened.
    pub fn at(path: &Path, what: &str) -> Result<Self> {
        Self::find(path, what, End::Shared)
    }

    /// The same for a file that root writes for a user: it may be in a folder of that user, to whom it belongs
    /// then, and no symlink in there is followed.
    ///
    /// # Errors
    /// As [`Self::at`].
    pub fn for_user(path: &Path, what: &str, user: u32) -> Result<Self> {
        Self::find(path, what, End::ForUser(user))
    }

    fn find(path: &Path, what: &str, end: End) -> Result<Self> {
        let named = escape::display(path.as_os_str().as_bytes());
        let full = absolute(path)?;
        let (Some(above), Some(name)) = (full.parent(), full.file_name()) else {
            return Err(Error::refused(format!("{named} names no file")).hint("name a file"));
        };
        let found = resolve_folder(above, &format!("the folder of {what},"), end)?;
        let io = |error: Errno| Error::io("open", above.as_os_str().as_bytes(), error);
        let folder = found.folder().map_err(io)?;
        let of_user = match end {
            End::ForUser(user) => Some(folder.stat_self().map_err(io)?).filter(|of| of.uid == user),
            _ => None,
        };
        let place = Self {
            folder,
            name: name.to_owned(),
            path: path.to_owned(),
            of_user,
        };
        place.check_is_free()?;
        Ok(place)
    }

    /// Refuses a folder that is not there yet and whose files others could change; `what` is to be in it
    /// stands in the error. Of a folder that is not there the next one above is looked at. Writes nothing.
    ///
    /// # Errors
    /// Refused if others could change it; fails if it cannot be opened.
    pub fn check_folder(folder: &Path, what: &str) -> Result<()> {
        let full = absolute(folder)?;
        let is_there = |above: &&Path| above.symlink_metadata().is_ok();
        let there = full.ancestors().find(is_there).unwrap_or(Path::new("/"));
        open_shared_folder(there, &format!("the folder of {what},")).map(drop)
    }

    /// Whether there is a file of the same user, which may be replaced.
    fn check_is_free(&self) -> Result<bool> {
        let named = self.path.as_os_str().as_bytes();
        let there = self.folder.look(&self.name);
        let there = there.map_err(|error| Error::io("look at", named, error))?;
        let Some(stat) = there else { return Ok(false) };
        let own = stat.uid == self.owner();
        let what = match stat.kind {
            Kind::File if own => return Ok(true),
            Kind::File => format!("belongs to {}", name_user(stat.uid)),
            Kind::Symlink => "is a symlink".to_owned(),
            Kind::Folder => "is a folder".to_owned(),
            _ => "is no regular file".to_owned(),
        };
        let named = escape::display(named);
        Err(
            Error::refused(format!("{named} is there and {what}: it is left as it is"))
                .coded(FailureCode::InTheWay)
                .hint("name another file, in a folder of your own"),
        )
    }

    /// Whether there is a file already, of the same user.
    ///
    /// # Errors
    /// As [`Self::at`].
    pub fn is_there(&self) -> Result<bool> {
        self.check_is_free()
    }

    /// Gives the file that is there another name besides.
    ///
    /// # Errors
    /// Fails if something has that name, or if the file system has no links.
    pub fn keep_as(&self, name: &OsStr) -> Result<()> {
        let kept = self.folder.link_from(&self.folder, &self.name, name);
        let path = self.path.as_os_str().as_bytes();
        kept.map_err(|error| Error::io("keep", path, error))
    }

    /// Writes the file for its owner alone: under a name that nothing has, and then by a rename.
    ///
    /// # Errors
    /// Refused if something else came there meanwhile; fails if it cannot be written.
    pub fn write(self, content: &[u8]) -> Result<()> {
        self.write_with_mode(content, 0o600)
    }

    /// The same for whoever the mode lets read it.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_with_mode(self, content: &[u8], mode: u32) -> Result<()> {
        let path = self.path.as_os_str().as_bytes();
        let io = |error: std::io::Error| Error::io("write", path, error);
        let (beside, mut file) = self.make_beside().map_err(|error| io(error.into()))?;
        let written = file
            .write_all(content)
            .and_then(|()| self.give_to_owner(&file))
            .and_then(|()| file.set_permissions(Permissions::from_mode(mode)))
            .and_then(|()| file.sync_all());
        let written = written.map_err(io).and_then(|()| {
            let renamed = if self.check_is_free()? {
                self.folder.rename_over(&beside, &self.name)
            } else {
                self.folder.rename_new(&beside, &self.folder, &self.name)
            };
            renamed.map_err(|error| io(error.into()))
        });
        if written.is_err() {
            let _ = self.folder.remove_file(&beside);
        }
        written?;
        self.folder.sync().map_err(|error| io(error.into()))
    }

    /// Whose file it is to be.
    fn owner(&self) -> u32 {
        self.of_user
            .map_or_else(|| geteuid().as_raw(), |folder| folder.uid)
    }

    fn give_to_owner(&self, file: &File) -> std::io::Result<()> {
        match self.of_user {
            // A file system without owners says that it is, and refuses to change it.
            Some(folder) if Stat::of_fd(file)?.uid != folder.uid => {
                Ok(set_owner(file, folder.uid, folder.gid)?)
            }
            _ => Ok(()),
        }
    }

    /// A new file under a name of its own.
    fn make_beside(&self) -> std::result::Result<(OsString, File), Errno> {
        let mut number = 0_u32;
        loop {
            let mut name = OsString::from(".");
            name.push(&self.name);
            name.push(format!(".{}-{number}", std::process::id()));
            match self.folder.new_file(&name, 0o600) {
                Err(Errno::EXIST) if number < 1000 => number += 1,
                made => return Ok((name, made?)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{MetadataExt as _, chown, lchown, symlink},
    };

    use super::*;
    use crate::trust::test_support::{nest, set_mode};

    #[test]
    fn a_new_file_is_its_owners_and_takes_the_place_of_no_other_thing() {
        let (_keep, root) = nest();
        let path = root.join("a/plan");
        NewFile::at(&path, "the plan").unwrap().write(b"1").unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        set_mode(&path, 0o666);
        let place = NewFile::at(&path, "the plan").unwrap();
        place.keep_as("before".as_ref()).unwrap();
        place.keep_as("before".as_ref()).unwrap_err();
        place.write_with_mode(b"2", 0o644).unwrap();
        assert_eq!(fs::read(root.join("a/before")).unwrap(), b"1");
        fs::remove_file(root.join("a/before")).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o644
        );
        NewFile::at(&path, "the plan").unwrap().write(b"2").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"2");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(
            fs::read_dir(root.join("a")).unwrap().count(),
            2,
            "b and plan"
        );

        symlink(root.join("a/b/file"), root.join("a/link")).unwrap();
        for (name, what) in [("a/link", "is a symlink"), ("a/b", "is a folder")] {
            let error = NewFile::at(&root.join(name), "the plan").unwrap_err();
            assert!(error.message.contains(what), "{}", error.message);
        }
        assert_eq!(fs::read(root.join("a/b/file")).unwrap(), b"x");
        // What comes between a look and the rename.
        let place = NewFile::at(&root.join("a/late"), "the plan").unwrap();
        symlink(root.join("a/b/file"), root.join("a/late")).unwrap();
        place.write(b"3").unwrap_err();
        assert_eq!(fs::read(root.join("a/b/file")).unwrap(), b"x");
        set_mode(&root.join("a"), 0o777);
        NewFile::at(&path, "the plan").unwrap_err();
    }

    #[test]
    fn root_writes_for_a_user_in_folders_of_that_user_and_through_no_symlink_of_theirs() {
        const ANN: u32 = 65534;
        // Nobody else can give a folder away.
        if !geteuid().is_root() {
            return;
        }
        let (_keep, root) = nest();
        let own = root.join("a/b");
        chown(root.join("a"), Some(ANN), None).unwrap();
        chown(&own, Some(ANN), Some(ANN)).unwrap();
        let path = own.join("page");
        NewFile::at(&path, "the page").unwrap_err();
        NewFile::for_user(&path, "the page", ANN - 1).unwrap_err();
        for content in [b"1", b"2"] {
            let place = NewFile::for_user(&path, "the page", ANN).unwrap();
            place.write(content).unwrap();
            let stat = fs::metadata(&path).unwrap();
            assert_eq!((stat.uid(), stat.gid()), (ANN, ANN));
            assert_eq!(stat.mode() & 0o7777, 0o600);
        }
        // What is root's in there stays so, and elsewhere root's files are root's.
        let error = NewFile::for_user(&own.join("file"), "the page", ANN).unwrap_err();
        assert!(error.message.contains("belongs to"), "{}", error.message);
        let of_root = NewFile::for_user(&root.join("page"), "the page", ANN).unwrap();
        of_root.write(b"3").unwrap();
        assert_eq!(fs::metadata(root.join("page")).unwrap().uid(), 0);
        // To the user's folder a symlink of root leads, but from there none, whosever it is.
        symlink(&own, root.join("there")).unwrap();
        NewFile::for_user(&root.join("there/page"), "the page", ANN).unwrap();
        symlink(&root, own.join("elsewhere")).unwrap();
        let led = own.join("elsewhere/page");
        let error = NewFile::for_user(&led, "the page", ANN).unwrap_err();
        assert!(error.message.contains("is a symlink"), "{}", error.message);
        lchown(root.join("there"), Some(ANN), None).unwrap();
        NewFile::for_user(&root.join("there/page"), "the page", ANN).unwrap_err();
        set_mode(&own, 0o777);
        NewFile::for_user(&path, "the page", ANN).unwrap_err();
    }
}
