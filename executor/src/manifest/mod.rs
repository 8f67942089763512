//! The manifest: one line for each entry of a snapshot, in mtree(5)'s form.
//!
//! `./home/ann/a\040b type=file mode=0644 uid=1000 gid=100 uname=ann gname=users size=5
//! time=1736992800.000000000 sha256digest=… inode=77 ctime=… stored=2025-01-16_02-00-00`
//!
//! Sorted so that a folder's content follows it directly ([`schema::StoredPath`]'s order),
//! compressed with zstd, read and written as a stream. Words beyond mtree's own: `ctime` (the
//! source's, with `inode` the proof that a file is untouched), `stored` (the snapshot that first
//! stored the content), `group` (names of one file share a number), `xattrsdigest`, `xattr.NAME`
//! (a value that the destination could not hold, in hexadecimal), `torn`, `unread` (not all of it
//! could be read: attributes, or the names in a folder), `absent` (not stored as an entry because
//! the destination has no such kind), `as` (the name under which it stands in its folder, where the
//! destination cannot hold its own). `flags` has chflags(1)'s names for what
//! Linux calls immutable (`schg`) and append-only (`sappnd`): reported, and never set on a snapshot,
//! which could not be deleted then.
//!
//! A snapshot has its manifest in [`segments`]; older ones, and those on a remote, have it in one file.

mod chunks;
mod cursor;
mod digests;
mod entry;
mod line;
mod looks;
mod names_here;
mod read;
pub mod segments;
mod stored_line;
mod text;
mod words;
mod write;

pub use chunks::Chunks;
pub use cursor::Cursor;
pub(crate) use cursor::{Found, FoundLooks};
pub use digests::{digest_of_file, xattrs_digest};
pub use entry::{Entry, HEADER, LONGEST_LINE, MOST_ATTRIBUTES, MOST_KEPT};
pub use line::InvalidLine;
pub(crate) use line::{order_of_paths, stored_path};
pub use looks::Looks;
pub(crate) use names_here::NamesHere;
pub use read::Reader;
pub use segments::{SegmentWriter, Segments};
pub(crate) use stored_line::StoredLine;
pub use write::Writer;

/// Largest window of compression that is read, as a power of two in bytes: what is written here needs
/// 2 MiB, and 128 MiB for each reader is what zstd would take.
const LARGEST_WINDOW: u32 = 24;

/// Reads what is compressed, with bounded memory.
pub(crate) fn new_decoder<R: std::io::Read>(
    from: R,
) -> std::io::Result<zstd::Decoder<'static, std::io::BufReader<R>>> {
    let mut decoder = zstd::Decoder::new(from)?;
    decoder.window_log_max(LARGEST_WINDOW)?;
    Ok(decoder)
}

/// Name of a manifest that is one file, in a snapshot's record folder.
pub const FILE_NAME: &str = "manifest.mtree.zst";
