//! `[log]`: what is logged, and how.

use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use crate::settings::{Item, Read, Table};

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// A level, or directives as `tracing_subscriber::EnvFilter` has them:
    /// `info`, `warn,keygate=debug`. They have been seen to parse.
    pub level: String,
    /// How a line looks.
    pub format: Format,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: Format::Json,
        }
    }
}

impl Log {
    pub(super) fn read(table: &mut Table<'_>) -> Option<Self> {
        let default = Self::default();
        let level = table.or("level", Level(default.level));
        Some(Self {
            level: level.0,
            format: table.or("format", default.format),
        })
    }
}

struct Level(String);

impl Read for Level {
    fn read(item: &Item<'_>) -> Option<Self> {
        let text = item.string()?;
        // A word that is no level is taken for a module by the filter, and
        // everything else goes silent.
        let is_directive = |it: &str| it.contains(['=', '[']) || it.parse::<LevelFilter>().is_ok();
        if text.split(',').all(|it| is_directive(it.trim())) && EnvFilter::try_new(text).is_ok() {
            return Some(Self(text.to_owned()));
        }
        item.fault(
            "this must be a level (error, warn, info, debug, trace), \
             or levels by module, such as \"warn,keygate=debug\"",
        );
        None
    }
}

impl Read for Format {
    fn read(item: &Item<'_>) -> Option<Self> {
        match item.string()? {
            "json" => Some(Self::Json),
            "text" => Some(Self::Text),
            _ => {
                item.fault("this must be `json` or `text`");
                None
            }
        }
    }
}
