//! The outline of a machine's folder: what is in it as empty folders, with owners and modes.
//!
//! Packages make folders for their services, as `/var/log/nginx`, which no backup needs to hold and without which
//! the services do not start. What the machine keeps in them is nobody's in a drill.

use rustix::io::Errno;

use crate::sys::{Dir, Kind, open};

/// Draws the folders in `from` and those in them.
pub(super) fn draw(from: &Dir, to: &Dir) -> Result<(), Errno> {
    for name in from.names()? {
        let found = from.stat(&name)?;
        match found.kind {
            // As `/var/run`, which leads to another place of the container.
            Kind::Symlink => match to.make_symlink(&from.read_symlink(&name)?, &name) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            },
            Kind::Folder => {
                let inner = draw_one(from, to, &name)?;
                draw_inner(&from.folder(&name)?, &inner)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The folders of one that stands in it; one that cannot be listed has none.
fn draw_inner(from: &Dir, to: &Dir) -> Result<(), Errno> {
    for name in from.names().unwrap_or_default() {
        if from
            .look(&name)?
            .is_some_and(|found| found.kind == Kind::Folder)
        {
            draw_one(from, to, &name)?;
        }
    }
    Ok(())
}

fn draw_one(from: &Dir, to: &Dir, name: &std::ffi::OsStr) -> Result<Dir, Errno> {
    let found = from.stat(name)?;
    let made = to.folder_or_new(name, 0o755)?;
    open::set_owner(&made, found.uid, found.gid)?;
    open::set_mode(&made, found.mode)?;
    Ok(made)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn folders_come_two_deep_with_their_modes_and_nothing_that_is_in_them() {
        let scratch = tempfile::tempdir().unwrap();
        let (from, to) = (scratch.path().join("from"), scratch.path().join("to"));
        fs::create_dir_all(from.join("lib/shop/orders")).unwrap();
        fs::create_dir(&to).unwrap();
        fs::write(from.join("lib/shop/data"), "x").unwrap();
        fs::write(from.join("lib/file"), "x").unwrap();
        std::os::unix::fs::symlink("/run", from.join("run")).unwrap();
        std::os::unix::fs::symlink("private/x", from.join("lib/x")).unwrap();
        let mode = fs::Permissions::from_mode(0o1770);
        fs::set_permissions(from.join("lib/shop"), mode).unwrap();
        let open = |path: &std::path::Path| {
            Dir::root()
                .unwrap()
                .folder_below(path.to_str().unwrap().trim_start_matches('/').as_bytes())
                .unwrap()
        };
        draw(&open(&from), &open(&to)).unwrap();
        assert_eq!(
            fs::read_link(to.join("run")).unwrap().to_str(),
            Some("/run")
        );
        let shop = fs::metadata(to.join("lib/shop")).unwrap();
        assert_eq!(shop.permissions().mode() & 0o7777, 0o1770);
        assert_eq!(fs::read_dir(to.join("lib/shop")).unwrap().count(), 0);
        assert_eq!(fs::read_dir(to.join("lib")).unwrap().count(), 1);
    }
}
