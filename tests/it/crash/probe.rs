//! Asks a gateway all the time whether it serves, as whoever sends callers there
//! does: the health service of gRPC, and `/readyz`.

use std::time::{Duration, SystemTime};

use keygate::{clock::Clock, tasks::Tasks};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::stalls::Stalls;
use crate::support::{http::Http, serve::Gateway};

/// How soon nobody may be sent to a gateway any more whose trail fails.
const SOON: Duration = Duration::from_secs(1);

/// How often is asked.
const PACE: Duration = Duration::from_millis(50);

/// Somebody who asks.
pub(super) struct Probe {
    asking: JoinHandle<Answers>,
    end: CancellationToken,
}

/// What was answered, in its order.
#[derive(Debug)]
pub(super) struct Answers(Vec<Answer>);

#[derive(Debug)]
struct Answer {
    /// When it was asked for.
    asked: SystemTime,
    /// How long the machine had let others wait by then.
    stalled: Duration,
    /// Whether both said, or one of them, that it serves.
    serves: bool,
    said: String,
}

impl Probe {
    /// Begins. The gateway serves.
    pub(super) async fn start(gateway: &Gateway, stalls: &Stalls) -> Self {
        let endpoint = Endpoint::try_from(format!("http://{}", gateway.grpc)).unwrap();
        let mut health = HealthClient::new(endpoint.connect_lazy());
        let http = Http::new(gateway.http.clone(), Vec::new());
        let first = ask(&mut health, &http).await;
        assert_eq!(first, ("SERVING".to_owned(), "200".to_owned()));
        let end = CancellationToken::new();
        let (ended, stalls) = (end.clone(), stalls.clone());
        let asking = Tasks::new().spawn(async move {
            let clock = Clock::system();
            let mut answers = Vec::new();
            loop {
                let is_last = ended.is_cancelled();
                tokio::time::sleep(PACE).await;
                let (asked, stalled) = (clock.now(), stalls.total());
                let (grpc, http) = ask(&mut health, &http).await;
                answers.push(Answer {
                    asked,
                    stalled,
                    serves: grpc == "SERVING" || http == "200",
                    said: format!("{grpc}, {http}"),
                });
                if is_last {
                    return Answers(answers);
                }
            }
        });
        Self { asking, end }
    }

    /// Asks once more, and ends.
    pub(super) async fn finish(self) -> Answers {
        self.end.cancel();
        self.asking.await.unwrap()
    }
}

/// What the two say. A port that nobody listens on says nothing.
async fn ask(health: &mut HealthClient<Channel>, http: &Http) -> (String, String) {
    let asked = health.check(HealthCheckRequest::default());
    let ready = http.try_send(http::Method::GET, "/readyz", None);
    let (health, ready) = tokio::join!(asked, ready);
    let health = health.map(|it| it.into_inner().status());
    let health = match health {
        Ok(status @ (ServingStatus::Serving | ServingStatus::NotServing)) => {
            status.as_str_name().to_owned()
        }
        other => format!("{other:?}"),
    };
    let ready = ready.map(|it| it.status.as_str().to_owned());
    (health, ready.unwrap_or_else(|it| it.to_string()))
}

impl Answers {
    /// Whether the last one was that it serves.
    pub(super) fn serves(&self) -> bool {
        self.0.last().unwrap().serves
    }

    /// From a second after this moment on, neither said that it serves. After how
    /// long that was so.
    #[track_caller]
    pub(super) fn turn_soon_after(&self, moment: SystemTime) -> Duration {
        assert!(!self.serves(), "it serves: {:?}", self.0.last());
        let before = self.0.iter().take_while(|it| it.asked <= moment).last();
        let before = before.map_or(Duration::ZERO, |it| it.stalled);
        let mut last = Duration::ZERO;
        for it in self.0.iter().filter(|it| it.serves) {
            let Ok(after) = it.asked.duration_since(moment) else {
                continue;
            };
            last = after.saturating_sub(it.stalled - before);
            assert!(
                last < SOON,
                "{after:?} later: {}; all: {:?}",
                it.said,
                self.0
            );
        }
        last
    }
}
