//! `keygate audit list`: records, a line each.

use super::{filter::FilterArgs, source::Source};
use crate::{
    audit::{self, Order, Query},
    cli::{Result, output},
    clock::Clock,
};

/// List records, the newest first, also while the gateway runs
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keygate audit list --config keygate.toml --since yesterday --kind denied
  keygate audit list --config keygate.toml --rpc DeleteApiKey --upstream us1 --since \"2 days ago\"
  keygate audit list --store sqlite:trail.db --subject 'system:serviceaccount:payments:*'
  keygate audit list --config keygate.toml --secret - < leaked-key")]
pub(super) struct List {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    filter: FilterArgs,
    /// The oldest first
    #[arg(long, help_heading = "How")]
    oldest: bool,
    /// At most so many
    #[arg(long, default_value_t = 100, help_heading = "How")]
    limit: usize,
    /// Print the records as JSON, one object a line; `audit export` has their very bytes
    #[arg(long, help_heading = "How")]
    json: bool,
}

impl List {
    pub(super) fn run(&self) -> Result {
        let reader = self.source.reader()?;
        let filter = self.filter.filter(&reader, Clock::system().now())?;
        let query = Query {
            filter,
            order: match self.oldest {
                true => Order::Oldest,
                false => Order::Newest,
            },
            limit: Some(self.limit),
            ..Query::default()
        };
        let mut count = 0;
        for stored in reader.records(query) {
            let stored = stored?;
            let line = if self.json {
                audit::plain_json(&String::from_utf8_lossy(&stored.body))
            } else {
                audit::line(&stored.record)
            };
            output::print(&(line + "\n"))?;
            count += 1;
        }
        if count == 0 {
            let hint = self.filter.hint();
            output::remark(&hint.unwrap_or_else(|| "no record fits".to_owned()));
        } else if count == self.limit && output::is_watched() {
            output::remark(&format!(
                "these are {count} records; --limit shows more, if there are"
            ));
        }
        Ok(())
    }
}
