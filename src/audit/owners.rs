//! Who owns which key: a thread with a connection that only reads.
//!
//! A question asked after a record was acknowledged sees what the record says.
//! Questions don't wait for the thread that writes.

use std::{collections::HashMap, path::Path};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use tokio::sync::{mpsc, oneshot};

use super::{Error, Owner, store};

/// A question about keys of one type at one upstream.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) upstream: String,
    pub(super) resource_type: String,
    pub(super) ids: Vec<String>,
    pub(super) answer: oneshot::Sender<Result<HashMap<String, Owner>, Error>>,
}

/// A connection that can't change the trail.
pub(super) fn read_only(path: &Path) -> Result<Connection, Error> {
    let opened = Error::database(path, "opened");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let connection = Connection::open_with_flags(path, flags).map_err(&opened)?;
    connection.busy_timeout(store::BUSY).map_err(&opened)?;
    store::keep_log(&connection, true).map_err(&opened)?;
    Ok(connection)
}

/// Answers until nobody can ask any more.
pub(super) fn run(connection: &Connection, path: &Path, mut questions: mpsc::Receiver<Question>) {
    while let Some(question) = questions.blocking_recv() {
        let owners = owners(connection, &question).map_err(Error::database(path, "read"));
        // Whoever asked may have gone.
        drop(question.answer.send(owners));
    }
}

fn owners(
    connection: &Connection,
    question: &Question,
) -> rusqlite::Result<HashMap<String, Owner>> {
    let mut statement = connection.prepare_cached(
        "SELECT issuer, subject FROM keys WHERE upstream = ?1 AND type = ?2 AND id = ?3",
    )?;
    // All from one state of the trail.
    let snapshot = connection.unchecked_transaction()?;
    let mut owners = HashMap::with_capacity(question.ids.len());
    for id in &question.ids {
        let owner = statement
            .query_row([&question.upstream, &question.resource_type, id], |row| {
                Ok(Owner {
                    issuer: row.get(0)?,
                    subject: row.get(1)?,
                })
            })
            .optional()?;
        owners.extend(owner.map(|it| (id.clone(), it)));
    }
    snapshot.finish()?;
    Ok(owners)
}
