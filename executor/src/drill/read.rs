//! Reading the sample in the room, and comparing it with the manifest.

use std::time::{Duration, Instant};

use schema::{
    drill::{MOST_DAMAGES, SampleDamage, SampleFile, SampleRead},
    escape,
};

use super::{Order, room::millis_since};
use crate::{
    copy::Copier,
    error::{Error, Result},
    sys::Dir,
    verify::compare_file,
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
    let mut tick = |_| match Instant::now() < until {
        true => Ok(()),
        false => Err(Error::interrupted()),
    };
    compare_file(root, &path, (wanted.size, wanted.digest), copier, &mut tick)
}
