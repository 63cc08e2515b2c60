//! `keygate audit export`: records for other systems, each at least once.
//!
//! What was written out is on its way for good before the cursor moves behind it:
//! whoever goes on from a cursor misses nothing, and may see again what came last.

mod cursor;
mod output;

use std::{path::PathBuf, time::Duration};

use super::{filter::FilterArgs, source::Source};
use crate::{
    audit::{Filter, Order, Position, Query, Reader, Stored, ocsf, plain_json},
    cli::{Result, output::remark, serve::runtime, signals},
    clock::Clock,
};
use cursor::Cursor;
use output::Output;

/// How many records are looked at before the cursor moves.
const PIECE: usize = 2048;

/// How often it is looked for what has been committed since.
const PERIOD: Duration = Duration::from_millis(200);

/// Write records for a SIEM or an archive, oldest first, also while the gateway runs
///
/// As JSON lines the records are byte for byte what the trail has: the hash of a line
/// without its end is that of the record in the tree. As OCSF they are events of class
/// 6003, API Activity.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keygate audit export --config keygate.toml --since 2026-11-01 > november.jsonl
  keygate audit export --config keygate.toml --format ocsf --output events.jsonl \\
    --cursor siem.cursor --follow")]
pub(super) struct Export {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    filter: FilterArgs,
    /// The records themselves, or OCSF events; one a line either way
    #[arg(long, value_enum, default_value_t = Format::Jsonl, help_heading = "How")]
    format: Format,
    /// Write to the end of this file instead of to standard output
    #[arg(long, value_name = "FILE", help_heading = "How")]
    output: Option<PathBuf>,
    /// Go on where this file says, and keep it up to date: it tells how far everything
    /// has been written out
    #[arg(long, value_name = "FILE", help_heading = "How")]
    cursor: Option<PathBuf>,
    /// Go on with what is committed from then on, until SIGTERM or SIGINT
    #[arg(long, help_heading = "How")]
    follow: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Jsonl,
    Ocsf,
}

/// An export under way.
struct Run {
    reader: Reader,
    filter: Filter,
    /// Whether every record is meant, so that what is missing was pruned.
    is_whole: bool,
    format: Format,
    output: Output,
    cursor: Option<Cursor>,
    next: Position,
    pruned: u64,
}

impl Export {
    pub(super) fn run(&self) -> Result {
        let reader = self.source.reader()?;
        let filter = self.filter.filter(&reader, Clock::system().now())?;
        let cursor = self.cursor.clone().map(Cursor::new);
        let next = match &cursor {
            Some(cursor) => cursor.load(&reader)?,
            None => Position(0),
        };
        let mut run = Run {
            reader,
            filter,
            is_whole: self.filter == FilterArgs::default(),
            format: self.format,
            output: Output::open(self.output.as_deref())?,
            cursor,
            next,
            pruned: 0,
        };
        let done = match self.follow {
            true => runtime(1)?.block_on(run.follow()),
            false => run.catch_up(),
        };
        if run.pruned > 0 {
            remark(&format!(
                "{} records had been pruned before they were exported",
                run.pruned
            ));
        }
        match done {
            // whoever only looks has seen enough
            Err(error) if run.cursor.is_none() && output::is_gone(&error) => Ok(()),
            done => done,
        }
    }
}

impl Run {
    async fn follow(&mut self) -> Result {
        let mut end = signals::End::listen()?;
        loop {
            let committed = self.reader.end()?;
            let wait = if self.next < committed {
                self.piece(committed)?;
                Duration::ZERO
            } else {
                PERIOD
            };
            tokio::select! {
                biased;
                _ = end.next() => return Ok(()),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Writes out what is committed by now.
    fn catch_up(&mut self) -> Result {
        let end = self.reader.end()?;
        while self.next < end {
            self.piece(end)?;
        }
        Ok(())
    }

    /// Writes out a piece of what comes before a position.
    fn piece(&mut self, end: Position) -> Result {
        let mut records = self.reader.records(Query {
            filter: self.filter.clone(),
            order: Order::Oldest,
            after: self.next.0.checked_sub(1).map(Position),
            before: Some(end),
            limit: None,
            budget: Some(PIECE),
        });
        let (mut lines, mut count) = (Vec::new(), 0);
        for stored in &mut records {
            count += 1;
            self.format.write(&stored?, &mut lines);
        }
        let next = records.rest().map_or(end, |it| Position(it.0 + 1));
        drop(records);
        if self.is_whole {
            self.pruned += (next.0 - self.next.0).saturating_sub(count);
        }
        self.output.write(&lines)?;
        if let Some(cursor) = &self.cursor {
            cursor.store(&self.reader, next)?;
        }
        self.next = next;
        Ok(())
    }
}

impl Format {
    fn write(self, stored: &Stored, lines: &mut Vec<u8>) {
        match self {
            Self::Jsonl => lines.extend_from_slice(&stored.body),
            Self::Ocsf => {
                let event = ocsf(stored.position, &stored.record).to_string();
                lines.extend_from_slice(plain_json(&event).as_bytes());
            }
        }
        lines.push(b'\n');
    }
}
