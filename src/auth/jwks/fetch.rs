//! One fetch of a key set: with a limit on its size and on its time, and no
//! redirect followed.

use std::time::Duration;

use ::http::{Request, StatusCode, Uri, header::ACCEPT};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use tokio::time::timeout;

use super::MAX_BYTES;
use crate::http::{self, Client};

/// The longest that a fetch may take, from the first byte to the last.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What is fetched, and how.
#[derive(Debug)]
pub(super) struct Fetch {
    pub(super) url: Uri,
    pub(super) client: Client,
}

impl Fetch {
    /// Fetches it.
    ///
    /// # Errors
    /// Why there is nothing, for the log.
    pub(super) async fn run(&self) -> Result<Bytes, String> {
        timeout(TIMEOUT, self.answer())
            .await
            .map_err(|_| format!("it does not answer within {TIMEOUT:?}"))?
    }

    async fn answer(&self) -> Result<Bytes, String> {
        let request = Request::get(&self.url)
            .header(ACCEPT, "application/jwk-set+json, application/json")
            .body(Full::default())
            .map_err(|error| error.to_string())?;
        let response = self.client.request(request).await;
        let response = response.map_err(|error| http::cause(&error))?;
        let status = response.status();
        if status.is_redirection() {
            return Err(format!(
                "it answers {status}, and redirects are not followed"
            ));
        }
        if status != StatusCode::OK {
            return Err(format!("it answers {status}"));
        }
        let body = Limited::new(response.into_body(), MAX_BYTES)
            .collect()
            .await;
        Ok(body
            .map_err(|_| format!("its answer breaks off or is over {MAX_BYTES} bytes"))?
            .to_bytes())
    }
}
