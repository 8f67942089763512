//! Reading the sample in the room, and comparing it with the manifest.

use std::time::{Duration, Instant};

use schema::{
    drill::{MOST_DAMAGES, SampleDamage, SampleFile, SampleRead},
    escape,
};

use super::{Order, room::millis_since};
use crate::{
    copy::{Copier, CopyError},
    error::{Error, Result, system_reason},
    sys::{Dir, Kind, Stat},
};

/// Reads what it was told to, as long as there is time.
///
/// # Errors
/// The root of the room cannot be opened.
pub(super) fn read_sample(order: &Order) -> Result<SampleRead> {
    let begun = Instant::now();
    let limit = Duration::from_secs(order.plan.check_seconds);
    let root = Dir::root().map_err(|error| Error::io("open", b"/", error))?;
    let mut copier = Copier::default();
    let mut read = SampleRead {
        of_files: order.of_files,
        ..SampleRead::default()
    };
    for file in &order.sample {
        if begun.elapsed() >= limit {
            read.left_out += 1;
            continue;
        }
        let found = compare(&root, file, &mut copier, begun + limit);
        let Some(found) = found.transpose() else {
            read.left_out += 1;
            continue;
        };
        read.files += 1;
        match found {
            Ok(bytes) => read.bytes += bytes,
            Err(message) => {
                read.damage_count += 1;
                if read.damage.len() < MOST_DAMAGES {
                    let path = format!("/{}", file.path);
                    read.damage.push(SampleDamage { path, message });
                }
            }
        }
    }
    read.millis = millis_since(begun);
    Ok(read)
}

/// How many bytes of a file were read that is what it must be; none where the time was over, and else what is
/// wrong.
fn compare(
    root: &Dir,
    wanted: &SampleFile,
    copier: &mut Copier,
    until: Instant,
) -> std::result::Result<Option<u64>, String> {
    let path = escape::unescape(&wanted.path).ok_or("has a path that cannot be read")?;
    let because = |error: rustix::io::Errno| match error {
        rustix::io::Errno::NOENT => "is missing".to_owned(),
        error => format!("cannot be opened: {}", system_reason(&error.into())),
    };
    let (folder, name) = root.descend(&path).map_err(because)?;
    let file = folder.file(name).map_err(because)?;
    let stat = Stat::of_fd(&file).map_err(because)?;
    if stat.kind != Kind::File {
        return Err("is no regular file".to_owned());
    }
    if stat.size != wanted.size {
        return Err(format!(
            "has {} bytes instead of {}",
            stat.size, wanted.size
        ));
    }
    let mut tick = |_| match Instant::now() < until {
        true => Ok(()),
        false => Err(Error::interrupted()),
    };
    match copier.digest(&file, false, &mut tick) {
        Ok(found) if found.digest == wanted.digest => Ok(Some(found.bytes)),
        Ok(_) => Err("has another content than the manifest says".to_owned()),
        Err(CopyError::Ended(_)) => Ok(None),
        Err(CopyError::Read(error) | CopyError::Write(error)) => {
            Err(format!("cannot be read: {}", system_reason(&error)))
        }
    }
}
