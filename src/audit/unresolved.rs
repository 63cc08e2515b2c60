//! The calls of which nobody knows yet what they did.

use std::collections::HashSet;

use super::{Error, Filter, Kind, Order, Position, Query, Reader, Record, Trail};

/// A call of which nobody knows what it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved {
    /// Where the outcome is.
    pub position: Position,
    /// What was to be done; `None` if the trail has it no more.
    pub intent: Option<Record>,
    /// The outcome `unknown`.
    pub outcome: Record,
}

impl Trail {
    /// The outcomes `unknown` that nothing has settled, in their order, with their
    /// intents; only those behind a position, if one is given. Other replicas that
    /// write to the same store look after their own.
    ///
    /// # Errors
    /// [`Error`] if the trail can't be read.
    pub async fn unresolved(&self, after: Option<Position>) -> Result<Vec<Unresolved>, Error> {
        self.read(move |reader| {
            let mut intents = Intents::default();
            let all = reader.unresolved()?.into_iter();
            let new = all.filter(|it| Some(it.position) > after);
            new.map(|it| {
                Ok(Unresolved {
                    position: it.position,
                    intent: intents.of(reader, &it.record)?,
                    outcome: it.record,
                })
            })
            .collect()
        })
        .await
    }

    /// Which of these are still to be settled here. Others may have settled them, who
    /// write to the same store and took this replica for gone.
    ///
    /// # Errors
    /// [`Error`] if the trail can't be read.
    pub async fn still_unresolved(
        &self,
        at: HashSet<Position>,
    ) -> Result<HashSet<Position>, Error> {
        let origin = self.settings().origin.clone();
        self.read(move |reader| {
            let at: Vec<_> = at.into_iter().collect();
            let still = reader.view().still_unresolved(&origin, &at)?;
            Ok(still.into_iter().collect())
        })
        .await
    }
}

/// The intents of one call: one, or one for each of its keys.
#[derive(Default)]
struct Intents {
    call: String,
    records: Vec<Record>,
}

impl Intents {
    /// The intent that an outcome belongs to: of several, that of the same key.
    fn of(&mut self, reader: &Reader, outcome: &Record) -> Result<Option<Record>, Error> {
        if self.call != outcome.call {
            let query = Query {
                filter: Filter {
                    call: Some(outcome.call.clone()),
                    kinds: vec![Kind::Intent],
                    ..Filter::default()
                },
                order: Order::Oldest,
                ..Query::default()
            };
            let records = reader.records(query).map(|it| it.map(|it| it.record));
            self.records = records.collect::<Result<_, _>>()?;
            self.call.clone_from(&outcome.call);
        }
        let id = |it: &Record| it.resource.as_ref().and_then(|it| it.id.clone());
        let mut records = self.records.iter();
        let same = records.find(|it| id(it) == id(outcome));
        Ok(same.or(self.records.first()).cloned())
    }
}
