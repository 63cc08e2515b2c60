//! Which trail is meant. Of a configuration nothing matters but where the trail is:
//! whoever investigates may have no other file that it names.

use std::path::{Path, PathBuf};

use crate::{
    audit::{self, Reader, Trail, postgres},
    cli::{Error, Exit},
    clock::Clock,
    config,
    random::Random,
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

    /// Opens the trail to write to it. If a gateway does, it is told what can be done
    /// instead.
    pub(super) fn open(&self, clock: Clock, instead: &str) -> Result<Trail, Error> {
        let settings = self.settings_to_write()?;
        let trail = Trail::open(&settings, clock, Random::system());
        let in_use = |message: String| Error::new(Exit::Unavailable, anyhow::anyhow!(message));
        trail.map_err(|error| match &error {
            audit::Error::InUse { path } => in_use(format!(
                "{}: a gateway is writing to this audit trail, and a trail has one writer: \
                 {instead}stop it first",
                path.display()
            )),
            audit::Error::Postgres(it) => match it.kind() {
                postgres::ErrorKind::InUse { origin } => in_use(format!(
                    "a gateway is writing as `{origin}`, and a name has one writer: {instead}run \
                     this with a configuration whose `audit.origin` nobody else has"
                )),
                _ => error.into(),
            },
            _ => error.into(),
        })
    }

    /// Where the trail is, to be written: a file under the origin that it was begun
    /// with, if it is there.
    fn settings_to_write(&self) -> Result<audit::Settings, Error> {
        let mut settings = self.settings()?;
        if settings.store.path().is_none() {
            if self.store.is_some() {
                let fault = anyhow::anyhow!(
                    "--store does not say who writes, and replicas are told apart by that: use \
                     --config, with a file that names `audit.origin`"
                );
                return Err(Error::new(Exit::Usage, fault));
            }
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
