//! Files that hold secrets and are not used, because they are missing or not private.
//!
//! Nothing is refused for them: a local backup waits neither for the cloud nor for a message.

use schema::{Finding, Inventory};

use super::{code, finding::warning};

/// One finding for each of them.
pub(crate) fn check_secrets(inventory: &Inventory) -> impl Iterator<Item = Finding> {
    inventory.unusable_secrets.iter().map(|secret| {
        let message = format!("{}: it is not used", secret.because);
        warning(code::SECRET_NOT_USED, message).hint(secret.hint.clone())
    })
}
