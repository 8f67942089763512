//! What a channel needs to know and nobody else may: from the configuration, or from a file that is
//! read when it is needed.

use std::borrow::Cow;

use schema::{
    config::AbsolutePath,
    web_address::{EXPECTED_ADDRESS, address_fault},
};

use super::attempt::Failure;
use crate::secret_file::read_secret_file;

/// From this length on a part of an address is looked for in what is told.
const SHORTEST: usize = 5;

/// The text of a secret file; `option` names it in errors, which never hold any of the text.
pub(super) fn read_secret(path: &AbsolutePath, option: &str) -> Result<String, Failure> {
    read_secret_file(path, option).map_err(|fault| {
        let because = if fault.is_unsafe {
            format!("is not told: {}", fault.message)
        } else {
            fault.message
        };
        Failure::lasting(because, fault.hint)
    })
}

/// A web address, and what may be said of it.
#[derive(Debug)]
pub(super) struct Address<'a> {
    /// The address.
    pub(super) url: Cow<'a, str>,
    /// The channel's option.
    pub(super) option: &'static str,
    /// The key below it that gave the address.
    key: &'static str,
}

impl<'a> Address<'a> {
    /// An address that everybody may know.
    pub(super) fn plain(url: &'a str, option: &'static str) -> Self {
        Self {
            url: url.into(),
            option,
            key: "url",
        }
    }

    /// The address that a channel was given, itself or in a file.
    pub(super) fn read(
        url: Option<&'a str>,
        file: Option<&AbsolutePath>,
        option: &'static str,
    ) -> Result<Self, Failure> {
        let Some(file) = file else {
            let none = || Failure::lasting("has no address", format!("set {option}.urlFile"));
            return url.map(|url| Self::plain(url, option)).ok_or_else(none);
        };
        let named = format!("{option}.urlFile");
        let text = read_secret(file, &named)?;
        let url = text.trim();
        if let Some(fault) = address_fault(url) {
            return Err(Failure::lasting(
                format!(
                    "is not told: {file} ({named}) holds no address: {}",
                    fault.problem
                ),
                format!("write into {file} {EXPECTED_ADDRESS}, and nothing else"),
            ));
        }
        Ok(Self {
            url: url.to_owned().into(),
            option,
            key: "urlFile",
        })
    }

    /// The same with another text.
    pub(super) fn with(self, url: String) -> Self {
        Self {
            url: url.into(),
            ..self
        }
    }

    /// The key of the configuration that gave it.
    pub(super) fn named(&self) -> String {
        format!("{}.{}", self.option, self.key)
    }

    /// A failure of which nobody learns the address, or a part of it, if it is a secret.
    pub(super) fn conceal(&self, failure: Failure) -> Failure {
        if self.key == "url" {
            return failure;
        }
        let conceal = |text: String| {
            self.parts()
                .iter()
                .fold(text, |text, part| text.replace(part, "***"))
        };
        Failure {
            because: conceal(failure.because),
            // Its words are this program's own.
            ..failure
        }
    }

    /// The address and what of it says where it leads, the longest first.
    fn parts(&self) -> Vec<&str> {
        let url: &str = &self.url;
        let host = schema::channel::host_of(url);
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let path = url.split_once(host).map_or("", |(_, path)| path);
        let mut parts = vec![url, path, path.trim_start_matches('/'), host, name];
        // Short words are in every sentence.
        parts.retain(|part| part.len() >= SHORTEST);
        parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_an_address_from_a_file_is_in_a_failure() {
        let address = |key| Address {
            url: "https://k3y.example.org:8443/hook/f00d?a=b".into(),
            option: "notifications.webhook",
            key,
        };
        let said = || {
            Failure::passing(
                "failed: https://k3y.example.org:8443/hook/f00d?a=b and /hook/f00d?a=b of k3y.example.org",
                "set notifications.webhook.urlFile",
            )
        };
        let told = address("urlFile").conceal(said());
        assert_eq!(told.because, "failed: *** and *** of ***");
        assert_eq!(told.hint, said().hint);
        assert!(told.again);
        let told = address("url").conceal(said());
        assert_eq!(told.because, said().because);
    }
}
