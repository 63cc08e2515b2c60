//! Which trail is meant. Of a configuration nothing matters but where the trail is:
//! whoever investigates may have no other file that it names.

use std::path::{Path, PathBuf};

use crate::{
    audit::{self, Reader},
    cli::{Error, Exit},
    config,
};

/// Which trail.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Which trail")]
pub(super) struct Source {
    /// The configuration that names the trail; nothing else in it is looked at
    #[arg(long, value_name = "FILE", env = "KEYGATE_CONFIG")]
    #[arg(required_unless_present = "store")]
    config: Option<PathBuf>,
    /// The trail itself, as sqlite:trail.db or postgres://user@host/database
    #[arg(long)]
    store: Option<String>,
}

impl Source {
    /// Where the trail is.
    pub(super) fn settings(&self) -> Result<audit::Settings, Error> {
        match (&self.store, &self.config) {
            (Some(store), _) => {
                let store = audit::Location::parse(store, Path::new(""));
                let store = store.map_err(|e| Error::new(Exit::Usage, e))?;
                Ok(audit::Settings::at(store))
            }
            (None, Some(config)) => Ok(config::Audit::load_store(config)?),
            // clap asks for one of them
            (None, None) => Err(Error::new(
                Exit::Usage,
                anyhow::anyhow!("--config or --store is missing"),
            )),
        }
    }

    /// The trail, to be written: a file under the origin that it was begun with, if
    /// it is there.
    pub(super) fn settings_to_write(&self) -> Result<audit::Settings, Error> {
        let mut settings = self.settings()?;
        if settings.store.path().is_none() {
            return Ok(settings);
        }
        let origins = Reader::open(&settings)?.origins()?;
        if let [(origin, _)] = origins.as_slice() {
            settings.origin.clone_from(origin);
        }
        Ok(settings)
    }

    /// The trail, to be read.
    pub(super) fn reader(&self) -> Result<Reader, Error> {
        Ok(Reader::open(&self.settings()?)?)
    }
}
