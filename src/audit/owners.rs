//! What a running gateway asks its trail: who owns which key, and which calls have
//! an outcome that nobody knows. A thread that only reads answers.
//!
//! A question asked after a record was acknowledged sees what the record says.
//! Questions don't wait for the thread that writes.

use std::collections::HashMap;

use tokio::sync::{mpsc, oneshot};

use super::{
    Error, Filter, Kind, Order, Owner, Position, Record,
    filter::Matcher,
    store::{Kept, View},
    trail::Unresolved,
};

/// A question.
#[derive(Debug)]
pub(super) enum Question {
    /// Who owns these keys of one type at one upstream?
    Owners {
        upstream: String,
        resource_type: String,
        ids: Vec<String>,
        answer: oneshot::Sender<Result<HashMap<String, Owner>, Error>>,
    },
    /// Which outcomes behind this position are unknown?
    Unresolved {
        after: Option<Position>,
        answer: oneshot::Sender<Result<Vec<Unresolved>, Error>>,
    },
}

/// Answers until nobody can ask any more.
pub(super) fn run(view: &dyn View, mut questions: mpsc::Receiver<Question>) {
    while let Some(question) = questions.blocking_recv() {
        // Whoever asked may have gone.
        match question {
            Question::Owners {
                upstream,
                resource_type,
                ids,
                answer,
            } => drop(answer.send(view.owners(&upstream, &resource_type, &ids))),
            Question::Unresolved { after, answer } => drop(answer.send(unresolved(view, after))),
        }
    }
}

fn unresolved(view: &dyn View, after: Option<Position>) -> Result<Vec<Unresolved>, Error> {
    let mut intents = Intents::default();
    let kept = view.unresolved()?.into_iter();
    let new = kept.filter(|it| after.is_none_or(|after| it.position > after));
    new.map(|kept| {
        let outcome = record(view, &kept)?;
        Ok(Unresolved {
            position: kept.position,
            intent: intents.of(view, &outcome)?,
            outcome,
        })
    })
    .collect()
}

/// The intents of one call: one, or one for each of its keys.
#[derive(Default)]
struct Intents {
    call: String,
    records: Vec<Record>,
}

impl Intents {
    /// The intent that an outcome belongs to: of several, that of the same key.
    fn of(&mut self, view: &dyn View, outcome: &Record) -> Result<Option<Record>, Error> {
        if self.call != outcome.call {
            self.records = Self::read(view, &outcome.call)?;
            self.call.clone_from(&outcome.call);
        }
        let id = |it: &Record| it.resource.as_ref().and_then(|it| it.id.clone());
        let mut records = self.records.iter();
        let same = records.find(|it| id(it) == id(outcome));
        Ok(same.or(self.records.first()).cloned())
    }

    fn read(view: &dyn View, call: &str) -> Result<Vec<Record>, Error> {
        /// More than a call can have records.
        const MOST: usize = 4096;
        let matcher = Matcher::new(Filter {
            call: Some(call.to_owned()),
            kind: Some(Kind::Intent),
            ..Filter::default()
        });
        let page = view.page(&matcher.filter, Order::Oldest, None, MOST)?;
        let records: Result<Vec<_>, _> = page.iter().map(|it| record(view, it)).collect();
        let mut records = records?;
        records.retain(|it| matcher.matches(it));
        Ok(records)
    }
}

fn record(view: &dyn View, kept: &Kept) -> Result<Record, Error> {
    serde_json::from_slice(&kept.body).map_err(|source| Error::Record {
        store: view.name(),
        position: kept.position,
        source,
    })
}
