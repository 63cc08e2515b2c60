//! A list as a stream over all its pages.
//!
//! What is there from the stream's begin to its end comes exactly once, newest
//! first, whatever comes and goes in between. The next page is asked for when the
//! caller has taken the one before. The stream is one call: it has one terminal
//! record, with the number of what it sent.

mod cursor;
mod numbered;

use std::{collections::HashSet, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt as _;
use tokio::{sync::mpsc, time::timeout_at};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{Failure, Operation, Result, conclude, operation::Answer as _, work::Work};
use crate::{
    audit::Outcome,
    call::{Call, Conclusion},
    status::{self, Error},
};
pub use cursor::Cursor;
pub use numbered::Numbered;

/// How many messages may wait for the caller to take them.
const AHEAD: usize = 16;

/// The messages of a stream, and the status that it ends with if it fails.
pub type Items<T> = ReceiverStream<std::result::Result<T, Status>>;

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
struct Facts {
    /// The ids on it, in its order.
    ids: Vec<String>,
    /// How much there is on all pages, where upstream tells.
    total: Option<u64>,
}

/// A walk over the pages: which one next?
trait Walk: Send {
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
    let (sender, receiver) = mpsc::channel(AHEAD);
    let tasks = work.call.ledger().tasks.clone();
    tasks.spawn(run(work, sender));
    ReceiverStream::new(receiver)
}

type Sender<T> = mpsc::Sender<std::result::Result<T, Status>>;

/// Walks to the end, and concludes the call.
async fn run<O: Pages>(work: Work<O>, sender: Sender<O::Item>) {
    let call = work.call.clone();
    // to its very end: a stream that just stops would look whole
    let walked = async { end(&call, walk(work, &sender).await).await };
    let ended = match AssertUnwindSafe(walked).catch_unwind().await {
        Ok(ended) => ended,
        Err(_) => {
            tracing::error!(call = call.id(), "a stream panicked");
            end(&call, Err(Error::Internal.into())).await
        }
    };
    let error = match ended {
        Ok(()) => return,
        Err(failure) => failure.error,
    };
    // whoever no longer listens need not be told
    let _ = sender
        .send(Err(status::status(&error, &call.context())))
        .await;
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

async fn walk<O: Pages>(mut work: Work<O>, sender: &Sender<O::Item>) -> Result<()> {
    let mut walk: Box<dyn Walk> = match O::PAGING {
        Paging::Numbered(paging) => Box::new(numbered::Backward::new(paging)),
        Paging::Cursor(paging) => Box::new(cursor::Forward::new(paging)),
    };
    let path = work.plan.request.path.clone();
    let (mut seen, mut sent) = (HashSet::new(), 0);
    while let Some(query) = walk.next() {
        let join = if path.contains('?') { '&' } else { '?' };
        work.plan.request.path = format!("{path}{join}{query}");
        let (facts, mut page) = match read(&work, sender).await {
            Err(failure) if is_refusal(&failure) && walk.refused() => continue,
            result => result?,
        };
        if !walk.read(&facts) {
            continue;
        }
        work.narrow_list(&mut page).await?;
        // its outcome comes last, so a stream tells no secret, whoever asks
        if page.keys().iter().any(|it| it.secret.is_some()) {
            page.conceal();
        }
        let is_new: Vec<_> = page
            .keys()
            .iter()
            .map(|it| it.id.is_none_or(|id| seen.insert(id.to_owned())))
            .collect();
        page.retain(&is_new);
        let mut items = O::items(page);
        if walk.is_backward() {
            items.reverse();
        }
        for item in items {
            send(&work, sender, item).await?;
            sent += 1;
            work.call.note(|record| record.items = Some(sent));
        }
    }
    work.call.note(|record| record.items = Some(sent));
    Ok(())
}

fn is_refusal(failure: &Failure) -> bool {
    matches!(
        failure.error,
        Error::UpstreamRejected(_) | Error::KeyNotFound(_)
    )
}

/// Reads a page. What it holds for the caller is still to be narrowed.
async fn read<O: Pages>(work: &Work<O>, sender: &Sender<O::Item>) -> Result<(Facts, O::Response)> {
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
    Ok((Facts { ids, total }, page))
}

/// Sends a message as soon as the caller has room for it.
async fn send<O: Pages>(work: &Work<O>, sender: &Sender<O::Item>, item: O::Item) -> Result<()> {
    let sending = sender.send(Ok(item));
    let sent = match work.deadline.given {
        None => sending.await,
        Some(deadline) => match timeout_at(deadline.into(), sending).await {
            Ok(sent) => sent,
            Err(_) => return Err(failed(Error::DeadlineExceeded)),
        },
    };
    sent.map_err(|_| gone())
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
