//! shim
use executor::event::{Event, Observer};
pub(crate) enum Mode {
    Terminal,
    Lines,
    Json,
    Quiet,
}
pub(crate) struct Bar;
impl Bar {
    pub(crate) fn new(_: Mode, _: bool, _: crate::style::Style) -> Self {
        Bar
    }
    pub(crate) fn clear(&self) {}
}
impl Observer for Bar {
    fn event(&self, _: Event<'_>) {}
}
