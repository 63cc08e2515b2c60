//! A connection that reads. It is made again when it is lost.

use std::{
    cell::{Cell, RefCell},
    fmt,
};

use tokio_postgres::{Client, Row, types::ToSql};

use crate::audit::{
    self,
    store::postgres::{
        Location,
        connect::{self, Driver},
        error::{Error, Kind},
        schema,
    },
};

/// What is asked with a statement.
pub(super) type Parameters<'a> = [&'a (dyn ToSql + Sync)];

/// A connection to the trail's database.
pub(super) struct Connection {
    // Dropped in this order: a connection ends within its driver.
    client: RefCell<Option<Client>>,
    driver: Driver,
    location: Location,
    /// Whether what is read is of one state, which is lost with the connection.
    frozen: Cell<bool>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let location = &self.location;
        f.debug_struct("Connection")
            .field("location", location)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Opens a trail to read it.
    pub(super) fn open(location: &Location) -> Result<Self, audit::Error> {
        let driver = Driver::new().map_err(audit::Error::Thread)?;
        let client = driver.run(async {
            let client = connect::connect(location).await?.client;
            if schema::version(&client, location).await? < schema::VERSION {
                let user = location.user().to_owned();
                return Err(Error::new(location, Kind::NotMigrated { user }).into());
            }
            Ok::<_, audit::Error>(client)
        })?;
        Ok(Self {
            client: RefCell::new(Some(client)),
            driver,
            location: location.clone(),
            frozen: Cell::new(false),
        })
    }

    /// Asks; once more on a new connection if the one there was is lost.
    pub(super) fn query(&self, sql: &str, parameters: &Parameters<'_>) -> Result<Vec<Row>, Error> {
        let mut client = self.client.borrow_mut();
        let (client, location, frozen) = (&mut *client, &self.location, self.frozen.get());
        self.driver.run(async {
            let failed = Error::of(location);
            if let Some(client) = &client {
                match client.query(sql, parameters).await {
                    Ok(rows) => return Ok(rows),
                    Err(error) if frozen || (error.code().is_some() && !client.is_closed()) => {
                        return Err(failed(error));
                    }
                    Err(_) => {}
                }
            }
            *client = None;
            let client = client.insert(connect::connect(location).await?.client);
            client.query(sql, parameters).await.map_err(&failed)
        })
    }

    pub(super) fn location(&self) -> &Location {
        &self.location
    }

    /// What is read from now on is of one state.
    pub(super) fn freeze(&self) -> Result<(), Error> {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
             SET LOCAL idle_in_transaction_session_timeout = 0";
        // one that fails makes a connection, on which it is begun
        self.query("SELECT 1", &[])?;
        if let Some(client) = &*self.client.borrow() {
            let begun = self.driver.run(client.batch_execute(begin));
            begun.map_err(Error::of(&self.location))?;
        }
        self.frozen.set(true);
        Ok(())
    }
}
