//! The bounds of a walk through a source: patterns, mount points, the destinations.

use schema::pattern::Excludes;

/// What bounds a walk.
#[derive(Clone, Copy)]
pub struct Bounds<'a> {
    /// Patterns of what to leave out.
    pub excludes: &'a Excludes,
    /// Do not cross mount points.
    pub one_file_system: bool,
    /// Inodes never to enter.
    pub never: &'a [(u64, u64)],
}
