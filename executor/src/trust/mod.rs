//! Whether nobody but root and the user who runs this decides what stands at a path.
//!
//! Configuration, scripts, saved plans and what is remembered decide what is run, and with whose rights.
//! A path is trusted where the file itself, each folder above it and each symlink on the way belong to
//! root or to that user, and nobody else may write to them. A folder that others may write to will do
//! on the way only if it is sticky, as `/tmp` is: what is in it and belongs to a trusted user stays
//! where it is. Access control lists are part of it: their mask stands in the bits of the group.
//!
//! A group in which there is nobody else is nobody else: that of a user's own name, which many systems
//! let its user write by default, or one of the system that has no members, such as Debian's `staff`.
//!
//! A path is walked one component at a time, and each is judged as it was opened. Once all of them are
//! trusted, nobody else can put something in the place of any.

mod accounts;
mod distrust;
mod judge;
mod new_file;
mod open;
#[cfg(test)]
mod test_support;
mod walk;

pub use self::{
    distrust::Distrust,
    new_file::NewFile,
    open::{is_private, open_file, open_folder, open_shared_folder, read_file},
    walk::{find_distrust, find_distrust_below, find_own_say},
};
