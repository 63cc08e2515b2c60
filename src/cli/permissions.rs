//! `keygate permissions`: the table of operations, from the contract.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Error, Exit, Result, output};
use crate::contract::{Contract, Operation};

/// Show which permission each RPC asks for
///
/// The table is read from the contract of this build: every RPC with its
/// permission (of several, any one suffices), what it does, and the upstream
/// route behind it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keygate permissions
  keygate permissions --markdown > docs/permissions.md
  keygate permissions --json | jq -r '.[] | select(.effect == \"delete\").method'")]
pub(super) struct Args {
    /// Print a JSON array with an object for each RPC
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print Markdown
    #[arg(long)]
    markdown: bool,
}

impl Args {
    pub(super) fn run(&self) -> Result {
        let contract = Contract::load()?;
        let operations = contract.operations();
        let text = match (self.json, self.markdown) {
            (true, _) => json(operations)?,
            (_, true) => markdown(operations),
            _ => table(operations),
        };
        output::print(&text)
    }
}

fn json(operations: &[Operation]) -> std::result::Result<String, Error> {
    let rows: Vec<Value> = operations
        .iter()
        .map(|it| {
            json!({
                "method": it.method,
                "service": it.service,
                "rpc": it.rpc,
                "permissions": it.permissions,
                "effect": it.effect.name(),
                "route": it.route,
                "not_offered": it.not_offered,
                "deprecated": it.deprecated,
            })
        })
        .collect();
    let text = serde_json::to_string_pretty(&rows).map_err(|it| Error::new(Exit::Software, it))?;
    Ok(text + "\n")
}

/// The page `docs/permissions.md`.
fn markdown(operations: &[Operation]) -> String {
    let mut text = "\
# Permissions

What each RPC asks of the policy, what it does, and the upstream route behind it. Of several permissions any one suffices.
This page is the output of `keygate permissions --markdown`; a test compares the two.
"
    .to_owned();
    for service in services(operations) {
        let _ = write!(
            text,
            "\n## {}\n\n{}| RPC | permission | effect | upstream route |\n|---|---|---|---|\n",
            service[0].service,
            if service[0].deprecated {
                "Deprecated.\n\n"
            } else {
                ""
            },
        );
        for it in service {
            let code = |it: &String| format!("`{it}`");
            let permissions: Vec<_> = it.permissions.iter().map(code).collect();
            let route = match (&it.not_offered, &it.route) {
                (Some(reason), _) => format!("not offered: {reason}"),
                (None, Some(route)) => code(route),
                (None, None) => "none".to_owned(),
            };
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {route} |",
                it.rpc,
                any_of(&permissions),
                it.effect.name(),
            );
        }
    }
    text
}

fn table(operations: &[Operation]) -> String {
    let head = ["RPC", "PERMISSION", "EFFECT", "UPSTREAM ROUTE"].map(str::to_owned);
    let row = |it: &Operation| {
        let route = match (&it.not_offered, &it.route) {
            (Some(_), _) => "not offered",
            (None, Some(route)) => route,
            (None, None) => "none",
        };
        [
            it.rpc.clone(),
            any_of(&it.permissions),
            it.effect.name().to_owned(),
            route.to_owned(),
        ]
    };
    let mut widths = head.each_ref().map(String::len);
    for row in operations.iter().map(row) {
        for (width, cell) in widths.iter_mut().zip(&row) {
            *width = (*width).max(cell.len());
        }
    }
    let line = |text: &mut String, row: [String; 4]| {
        let cells = row.iter().zip(widths);
        let cells: Vec<_> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(format!("  {}", cells.join("  ")).trim_end());
        text.push('\n');
    };
    let mut text = String::new();
    line(&mut text, head);
    for service in services(operations) {
        let note = if service[0].deprecated {
            " (deprecated)"
        } else {
            ""
        };
        let _ = writeln!(text, "\n{}{note}", service[0].service);
        service.iter().for_each(|it| line(&mut text, row(it)));
    }
    text
}

/// The operations by service, none of them empty.
fn services(operations: &[Operation]) -> impl Iterator<Item = &[Operation]> {
    operations.chunk_by(|a, b| a.service == b.service)
}

fn any_of(permissions: &[String]) -> String {
    match permissions {
        [] => "any caller".to_owned(),
        some => some.join(" or "),
    }
}
