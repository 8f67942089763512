//! The engine as one destination sees it: with its view of the configuration and of what is remembered.

use executor::{Error, error::Result};
use schema::{Config, Finding, config::DestinationName};

use super::{Engine, operation::Operation};

impl Engine {
    /// The engine of one destination, which knows nothing of the others; `None` if there is no such one.
    #[must_use]
    pub fn of(&self, name: &DestinationName) -> Option<Self> {
        let config = self.config.view(name)?;
        Some(Self {
            config,
            of: (!name.is_predefined()).then(|| name.clone()),
            remote: self.config.remote_options(name),
            known_of: None,
            ..self.clone()
        })
    }

    /// The engine of `local` and `cloud`, which knows nothing of the named destinations.
    pub(super) fn base(&self) -> Self {
        Self {
            config: self.config.base(),
            of: None,
            remote: None,
            known_of: None,
            ..self.clone()
        }
    }

    /// The engine of all destinations, also where this is the view of one.
    pub(super) fn all(&self) -> Self {
        Self {
            config: self.whole.as_ref().clone(),
            ..self.base()
        }
    }

    /// The engine of a named destination, or of the base.
    ///
    /// # Errors
    /// Fails if there is no such one.
    pub(super) fn view_of(&self, of: Option<&DestinationName>) -> Result<Self> {
        let Some(name) = of else {
            return Ok(self.base());
        };
        self.of(name)
            .ok_or_else(|| Error::failed(format!("there is no destination {name}")))
    }

    /// A text about the destination whose view this is, in the words in which a person configures it and
    /// asks for it.
    #[must_use]
    pub fn in_own_words(&self, text: &str) -> String {
        match &self.of {
            Some(name) => self.whole.in_words_of(name, text),
            None => text.to_owned(),
        }
    }

    /// Says what was found of this destination in its words.
    pub(super) fn tell_in_own_words<'f>(
        &self,
        findings: impl IntoIterator<Item = &'f mut Finding>,
    ) {
        if let Some(name) = &self.of {
            for finding in findings {
                self.whole.tell_in_words_of(name, finding);
            }
        }
    }

    /// What went wrong at this destination, in its words.
    pub(super) fn error_in_own_words(&self, error: Error) -> Error {
        error.in_words(|text| self.in_own_words(text))
    }

    /// The named destination whose view this is.
    #[must_use]
    pub fn of_named(&self) -> Option<&DestinationName> {
        self.of.as_ref()
    }

    /// The name of this destination and the folder of the host's backups there, where there are several.
    #[must_use]
    pub fn place_of_several(&self) -> Option<(DestinationName, String)> {
        let is_one = self.whole.destinations.is_empty();
        (!is_one).then(|| {
            let folder = match self.is_of_remote() {
                true => self.cloud_remote(),
                false => self.stored_folder(),
            };
            (name_of(self.of.as_ref()), folder)
        })
    }

    /// The names of the named destinations that are used.
    #[must_use]
    pub fn named(&self) -> Vec<DestinationName> {
        self.config.chains()
    }

    /// Whether `local` or `cloud` is used.
    pub(super) fn has_base(&self) -> bool {
        self.config.local.enable || self.config.cloud.enable
    }
}

impl Operation<'_> {
    /// The same call of a verb for the view of one destination.
    pub(super) fn in_view<'b>(&'b self, engine: &'b Engine) -> Operation<'b> {
        Operation { engine, ..*self }
    }

    /// Does something in the view of each destination that is used, the base's first. Of several, one where
    /// it fails is passed over: whatever is done there later says why.
    ///
    /// # Errors
    /// As `work` for the only one; an interruption.
    pub(super) fn for_each_view(
        &self,
        work: impl Fn(&Operation<'_>, Option<&DestinationName>) -> Result<()>,
    ) -> Result<()> {
        let named = self.engine.named();
        if named.is_empty() {
            return work(self, None);
        }
        for of in [None].into_iter().chain(named.iter().map(Some)) {
            let engine = self.engine.view_of(of)?;
            match work(&self.in_view(&engine), of) {
                Err(error) if error.kind.step_status().is_none() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The name by which the chain of a destination is asked for; the base answers to that of `local`.
pub(super) fn name_of(of: Option<&DestinationName>) -> DestinationName {
    of.cloned()
        .unwrap_or_else(|| DestinationName::new(DestinationName::LOCAL))
}

/// The names of `local` and `cloud` where they are used.
pub(super) fn base_names(config: &Config) -> Vec<DestinationName> {
    let base = [
        (DestinationName::LOCAL, config.local.enable),
        (DestinationName::CLOUD, config.cloud.enable),
    ];
    let used = base.into_iter().filter(|(_, enable)| *enable);
    used.map(|(name, _)| DestinationName::new(name)).collect()
}
