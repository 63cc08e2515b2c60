//! A list as a stream over all its pages.
//!
//! What is there from the stream's begin to its end comes exactly once, newest
//! first, whatever comes and goes in between. The next page is asked for when the
//! caller has taken the one before. The stream is one call: it has one terminal
//! record, with the number of what it sent.
//!
//! It is decided about for as long as it runs. Another policy decides what of it
//! is shown from then on; one that denies it ends it at once, and so does the end
//! of its caller's token.

mod cursor;
mod items;
mod numbered;
mod page;

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    Failure, Operation, Result, conclude,
    operation::Answer as _,
    revocation::{Decision, Revocation, time_comes},
    work::Work,
};
use crate::{
    audit::Outcome,
    call::{Call, Conclusion},
    status::{self, Error},
    upstream::Answer,
};
pub use cursor::Cursor;
pub use items::Items;
pub(super) use items::Sender;
pub use numbered::Numbered;
use page::{Next, Sent};

/// How many messages may wait for the caller to take them.
const AHEAD: usize = 16;

/// An operation that lists page by page. Its request is the stream's, its response
/// the list's; its plan is that of the list without any paging.
pub trait Pages: Operation {
    /// A message of the stream.
    type Item: Send + 'static;
    /// How pages are asked for.
    const PAGING: Paging;

    /// How much there is on all pages, where the page tells.
    fn total(page: &Self::Response) -> Option<u64>;

    /// What a page holds, in its order.
    fn items(page: Self::Response) -> Vec<Self::Item>;
}

/// How the pages of a list are asked for.
#[derive(Clone, Copy, Debug)]
pub enum Paging {
    /// By number.
    Numbered(Numbered),
    /// By the last id of the page before.
    Cursor(Cursor),
}

/// A page, as upstream has it.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The ids on it, in its order.
    pub(super) ids: Vec<String>,
    /// How much there is on all pages, where upstream tells.
    pub(super) total: Option<u64>,
}

/// A walk over pages.
pub(super) fn walk_of(paging: Paging) -> Box<dyn Walk> {
    match paging {
        Paging::Numbered(paging) => Box::new(numbered::Backward::new(paging)),
        Paging::Cursor(paging) => Box::new(cursor::Forward::new(paging)),
    }
}

/// A walk over the pages: which one next?
pub(super) trait Walk: Send {
    /// The query of the next page; `None` when all have been read.
    fn next(&mut self) -> Option<String>;

    /// Takes in what the page had that was asked for. Whether it is to be sent.
    fn read(&mut self, page: &Facts) -> bool;

    /// Whether upstream refused the page because of its query, and the walk knows
    /// another way.
    fn refused(&mut self) -> bool {
        false
    }

    /// Whether pages are read from their end.
    fn is_backward(&self) -> bool;
}

/// Begins to walk.
pub(super) fn start<O: Pages>(work: Work<O>) -> Items<O::Item> {
    let (sender, items) = channel(|_| 1);
    let tasks = work.call.ledger().tasks.clone();
    tasks.spawn(run(work, sender));
    items
}

/// A stream in which a message counts what `weigh` says.
pub(super) fn channel<T>(weigh: fn(&T) -> u64) -> (Sender<T>, Items<T>) {
    items::channel(AHEAD, weigh)
}

/// Walks to the end, and concludes the call.
async fn run<O: Pages>(work: Work<O>, sender: Sender<O::Item>) {
    let (call, out) = (work.call.clone(), sender.clone());
    drive(call, sender, walk_while_allowed(work, out)).await;
}

/// Does what keygate answers by itself, for as long as the caller may have it and
/// calls are taken, and concludes the call.
pub(super) async fn run_local<T>(
    revocation: Revocation,
    closing: CancellationToken,
    sender: Sender<T>,
    work: impl Future<Output = Result<(), Error>>,
) {
    let (call, out) = (revocation.call.clone(), sender.clone());
    let worked = async {
        let call = revocation.call.clone();
        let (decide, _decisions) = watch::channel(None);
        let ended = tokio::select! {
            biased;
            error = revoked(revocation, decide) => {
                out.stop();
                Err(error)
            }
            () = closing.cancelled() => Err(Error::ShuttingDown),
            ended = work => ended,
        };
        let count = match ended {
            Ok(()) => out.sent(),
            Err(_) => out.taken(),
        };
        call.note(|record| record.items = Some(count));
        ended.map_err(|error| {
            // it has no end of its own, and did what it should until it was ended
            let is_end = matches!(
                error,
                Error::Cancelled | Error::DeadlineExceeded | Error::ShuttingDown
            );
            Failure {
                error,
                outcome: is_end.then_some(Outcome::Succeeded),
            }
        })
    };
    drive(call, sender, worked).await;
}

/// Takes a stream to its end, and concludes the call.
async fn drive<T>(call: Arc<Call>, sender: Sender<T>, walk: impl Future<Output = Result<()>>) {
    // to its very end: a stream that just stops would look whole
    let walked = async { end(&call, walk.await).await };
    let ended = match AssertUnwindSafe(walked).catch_unwind().await {
        Ok(ended) => ended,
        Err(_) => {
            tracing::error!(call = call.id(), "a stream panicked");
            end(&call, Err(Error::Internal.into())).await
        }
    };
    let failed = |failure: Failure| status::status(&failure.error, &call.context());
    sender.end(ended.map_err(failed));
}

async fn end(call: &Arc<Call>, result: Result<()>) -> Result<()> {
    let conclusion = match &result {
        Ok(()) => Conclusion::succeeded(Vec::new()),
        Err(failure) => match failure.outcome {
            Some(outcome) => Conclusion::outcome(outcome, &failure.error),
            None => Conclusion::refused(&failure.error),
        },
    };
    conclude(call, conclusion).await?;
    result
}

/// Walks for as long as the caller may.
async fn walk_while_allowed<O: Pages>(mut work: Work<O>, sender: Sender<O::Item>) -> Result<()> {
    let call = work.call.clone();
    let revocation = work.revocation();
    let (decide, decisions) = watch::channel(None);
    let mut sent = Sent::new(decisions);
    let (result, count) = tokio::select! {
        biased;
        error = revoked(revocation, decide) => {
            sender.stop();
            (Err(error.into()), sender.taken())
        }
        result = walk(&mut work, &sender, &mut sent) => (result, sent.count()),
    };
    call.note(|record| record.items = Some(count));
    result
}

/// Hands on what other policies decide, until one denies the stream or its caller's
/// token ends: tells which.
async fn revoked(mut revocation: Revocation, decide: watch::Sender<Option<Decision>>) -> Error {
    let clock = revocation.call.ledger().clock.clone();
    let end = revocation.caller.expires_at;
    let denied = async {
        loop {
            match revocation.next().await {
                Ok(decision) => decide.send_replace(Some(decision)),
                Err(error) => return error,
            };
        }
    };
    tokio::select! {
        error = denied => error,
        () = time_comes(&clock, end) => Error::TokenExpired,
    }
}

async fn walk<O: Pages>(
    work: &mut Work<O>,
    sender: &Sender<O::Item>,
    sent: &mut Sent,
) -> Result<()> {
    let mut walk = walk_of(O::PAGING);
    let path = work.plan.request.path.clone();
    while let Some(query) = walk.next() {
        let join = if path.contains('?') { '&' } else { '?' };
        work.plan.request.path = format!("{path}{join}{query}");
        let (facts, answer) = match read(work, sender).await {
            Err(failure) if is_refusal(&failure) && walk.refused() => continue,
            result => result?,
        };
        if !walk.read(&facts) {
            continue;
        }
        // again, if another policy decides meanwhile what of it may be seen
        while sent.page(work, sender, &answer, walk.is_backward()).await? == Next::Again {}
    }
    Ok(())
}

fn is_refusal(failure: &Failure) -> bool {
    matches!(
        failure.error,
        Error::UpstreamRejected(_) | Error::KeyNotFound(_)
    )
}

/// Reads a page. What it holds for the caller is still to be narrowed.
async fn read<O: Pages>(work: &Work<O>, sender: &Sender<O::Item>) -> Result<(Facts, Answer)> {
    let deadline = work.deadline.from(work.call.ledger().clock.instant());
    let answer = tokio::select! {
        answer = work.ask(&work.plan.request, deadline) => answer?,
        () = sender.closed() => return Err(gone()),
    };
    let page = work.read(&answer)?;
    let ids = page
        .keys()
        .iter()
        .filter_map(|it| it.id.map(str::to_owned))
        .collect();
    let total = O::total(&page);
    Ok((Facts { ids, total }, answer))
}

fn gone() -> Failure {
    failed(Error::Cancelled)
}

/// A walk that did not come to its end.
fn failed(error: Error) -> Failure {
    Failure {
        error,
        outcome: Some(Outcome::Unknown),
    }
}
