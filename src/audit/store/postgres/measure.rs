//! What a server takes by itself, for benchmarks to hold a trail against.

use std::time::Duration;

use tokio_postgres::Client;

use super::{
    Location,
    connect::{self, Driver},
    error::Error,
};
use crate::{audit, clock::Clock};

/// The table that commits go to. It is there for as long as they are measured.
const TABLE: &str = "keygate_measure";

/// A connection like those that records are written on.
pub struct Measure {
    // Dropped in this order: a connection ends within its driver.
    client: Client,
    driver: Driver,
    location: Location,
}

impl Measure {
    /// Connects to a server.
    ///
    /// # Errors
    /// [`audit::Error`] if that can't be done.
    pub fn connect(location: &Location) -> Result<Self, audit::Error> {
        let driver = Driver::new().map_err(audit::Error::Thread)?;
        let connected = driver.run(connect::connect(location))?;
        Ok(Self {
            client: connected.client,
            driver,
            location: location.clone(),
        })
    }

    /// How long commits of one row take, one after the other, each with one statement
    /// and its answer. The user has to own the database.
    ///
    /// # Errors
    /// [`audit::Error`] if they can't be made.
    pub fn commits(&self, count: usize, clock: &Clock) -> Result<Vec<Duration>, audit::Error> {
        let client = &self.client;
        let make = format!(
            "DROP TABLE IF EXISTS public.{TABLE}; CREATE TABLE public.{TABLE} (body bytea)"
        );
        let insert = format!("INSERT INTO public.{TABLE} VALUES ($1)");
        let remove = format!("DROP TABLE public.{TABLE}");
        let measured = self.driver.run(async {
            client.batch_execute(&make).await?;
            let insert = client.prepare(&insert).await?;
            // about as long as a record
            let body = vec![b'x'; 800];
            let mut taken = Vec::with_capacity(count);
            for _ in 0..count {
                let begun = clock.instant();
                client.execute(&insert, &[&body]).await?;
                taken.push(clock.instant().duration_since(begun));
            }
            client.batch_execute(&remove).await?;
            Ok(taken)
        });
        Ok(measured.map_err(Error::of(&self.location))?)
    }

    /// How much room the trail's tables take with their indexes, in bytes.
    ///
    /// # Errors
    /// [`audit::Error`] if that is not told.
    pub fn bytes(&self) -> Result<u64, audit::Error> {
        let sql = "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
             WHERE relkind = 'r' AND relnamespace = to_regnamespace('keygate')";
        let row = self.driver.run(self.client.query_one(sql, &[]));
        let row = row.map_err(Error::of(&self.location))?;
        Ok(row.get::<_, i64>(0).cast_unsigned())
    }
}
