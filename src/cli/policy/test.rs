//! `keygate policy test`: a policy against the decisions that are expected of it.

use std::{fmt::Write as _, path::PathBuf};

use super::{
    cases::{Case, Cases, Decision},
    load,
};
use crate::{
    cli::{Error, Exit, Result, output},
    contract::Contract,
    policy::{self, Explanation, Policy, Question},
};

/// Test a policy against a file of expected decisions
///
/// Tells every decision that is another one than expected, and the rule that made
/// it. Ends with 0 if all are as expected, with 1 if some are not, with 65 if the
/// file has faults and with 78 if the policy has.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keygate policy test policy.test.toml
  keygate policy test --policy new.toml policy.test.toml

A file of cases:
  policy = \"policy.toml\"            # relative to the file; --policy goes before it

  [[cases]]
  title = \"payments rename their keys within their names\"
  claims = [\"payments\"]             # and: subject, issuer, token_id, certificates
  rpc = \"UpdateApiKey\"              # its full name, or as much of its end as only one has
  upstream = \"datadog/us1/main\"     # any if left out
  key = { name = \"payments-api\", own = true, new_name = \"api\" }   # and: scopes, unscoped
  expect = \"deny\"                   # or \"permit\"
  rule = \"outside *.names\"          # and: permission, reveal; all may be left out")]
pub(super) struct Test {
    /// The policy, instead of the one that the file names
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The file of expected decisions
    file: PathBuf,
}

impl Test {
    pub(super) fn run(&self) -> Result {
        let contract = Contract::load()?;
        let file = self.file.display();
        let wrong = |fault| Error::new(Exit::Data, anyhow::anyhow!("{file}: {fault}"));
        let cases = Cases::load(&self.file, &contract).map_err(|it| wrong(it.to_string()))?;
        let named = self.policy.as_ref().or(cases.policy.as_ref());
        let named = named.ok_or_else(|| {
            wrong("it names no `policy`; name one there, or with --policy".to_owned())
        })?;
        let policy = load(named, &contract)?;
        let all = cases.cases.len();
        let failed: Vec<_> = cases
            .cases
            .iter()
            .filter_map(|it| failure(it, &policy))
            .collect();
        let mut text = failed.concat();
        let _ = writeln!(text, "{} of {all} passed", all - failed.len());
        output::print(&text)?;
        if failed.is_empty() {
            return Ok(());
        }
        let failed = failed.len();
        Err(Error::new(
            Exit::Failed,
            anyhow::anyhow!("{file}: {failed} of {all} are decided otherwise"),
        ))
    }
}

/// What is other than expected, if anything is.
fn failure(case: &Case<'_>, policy: &Policy) -> Option<String> {
    let touch = case.key.as_ref().map(|it| it.touch(case.operation.effect));
    let upstream = case.upstream.as_slice();
    let got = policy.explain(&Question {
        caller: &case.caller,
        operation: case.operation,
        upstreams: upstream,
        touch,
    });
    let reveals = touch.and_then(|it| it.key).is_some_and(|key| {
        let permit = policy.authorize_any(&case.caller, case.operation, upstream);
        permit.is_ok_and(|it| it.reveals(&key))
    });
    let expected = &case.expected;
    let decision = match got.permitted {
        true => Decision::Permit,
        false => Decision::Deny,
    };
    let is_named = |it: &String| got.permission.iter().chain(&got.missing).any(|p| p == it);
    let is_as_expected = expected.decision == decision
        && expected
            .rule
            .as_ref()
            .is_none_or(|it| policy::matches(it, &got.rule))
        && expected.permission.as_ref().is_none_or(is_named)
        && expected.reveal.is_none_or(|it| it == reveals);
    (!is_as_expected).then(|| tell(case, decision, &got, reveals))
}

fn tell(case: &Case<'_>, decision: Decision, got: &Explanation, reveals: bool) -> String {
    let expected = &case.expected;
    let reveal = |it: bool| if it { " and reveal" } else { " and not reveal" };
    let mut wanted = expected.decision.name().to_owned();
    if let Some(rule) = &expected.rule {
        let _ = write!(wanted, " by {rule}");
    }
    if let Some(permission) = &expected.permission {
        let _ = write!(wanted, " ({permission})");
    }
    wanted += expected.reveal.map_or("", reveal);
    let mut found = format!("{} by {}", decision.name(), got.rule);
    let permissions: Vec<_> = got.permission.iter().chain(&got.missing).cloned().collect();
    if !permissions.is_empty() {
        let _ = write!(found, " ({})", permissions.join(" or "));
    }
    found += expected.reveal.map_or("", |_| reveal(reveals));
    let (at, line) = case.at;
    let title = case
        .title
        .as_ref()
        .map(|it| format!(": {it}"))
        .unwrap_or_default();
    format!("cases[{at}] (line {line}){title}\n  expected  {wanted}\n  got       {found}\n")
}
