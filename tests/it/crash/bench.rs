//! One gateway on a disk that the test holds, before vendors of its own.

use std::time::Duration;

use keygate::clock::Clock;
use tempfile::TempDir;
use tonic::transport::Endpoint;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::books::Books;
use crate::support::{
    disk::Disk,
    http::Http,
    serve::{Gateway, Setup, until},
    served::{MAIN, SANDBOX_POLICY},
    upstreams::{Place, Upstreams},
    vendors::DATADOG,
};

/// How soon nobody may be sent here any more.
const SOON: Duration = Duration::from_secs(1);

/// A setup with a disk.
pub(super) struct Bench {
    pub(super) setup: Setup,
    pub(super) upstreams: Upstreams,
    pub(super) disk: Disk,
    _notes: TempDir,
}

impl Bench {
    pub(super) async fn new() -> Self {
        let upstreams = Upstreams::start(vec![Place::new(&DATADOG, MAIN)]).await;
        let setup = Setup::new("", &upstreams.config).await;
        setup.write("policy.toml", SANDBOX_POLICY);
        let notes = tempfile::tempdir().unwrap();
        let disk = Disk::below(&setup.folder.path().join("trail.db"), notes.path());
        Self {
            setup,
            upstreams,
            disk,
            _notes: notes,
        }
    }

    pub(super) async fn serve(&self) -> Gateway {
        Gateway::start_in(&self.setup.config(), self.disk.environment()).await
    }

    /// Nothing fails any more: what is in the trail is compared with what the vendors
    /// have received, after a start.
    pub(super) async fn recover(&self, books: &mut Books) -> Gateway {
        self.disk.heal();
        let gateway = self.serve().await;
        books.read(&self.setup.folder.path().join("trail.db"));
        books.compare(&self.upstreams);
        gateway
    }
}

/// Something happens to the server's trail; then everyone is told soon that it does
/// not serve, and it ends and says why.
pub(super) async fn ends(gateway: &mut Gateway, happens: impl AsyncFnOnce()) -> String {
    let channel = Endpoint::try_from(format!("http://{}", gateway.grpc)).unwrap();
    let mut health = HealthClient::new(channel.connect().await.unwrap());
    let watch = health.watch(HealthCheckRequest::default()).await;
    let mut watch = watch.unwrap().into_inner();
    let seen = watch.message().await.unwrap().unwrap();
    assert_eq!(seen.status(), ServingStatus::Serving);
    happens().await;
    let clock = Clock::system();
    let since = clock.instant();
    // or gone altogether
    if let Ok(Some(seen)) = watch.message().await {
        assert_eq!(seen.status(), ServingStatus::NotServing);
    }
    let http = Http::new(gateway.http.clone(), Vec::new());
    // no answer says it as well
    if let Ok(answer) = http.try_send(http::Method::GET, "/readyz", None).await {
        assert_eq!(answer.status, 503);
    }
    let took = clock.instant() - since;
    assert!(took < SOON, "it was told after {took:?}");
    ended(gateway).await
}

/// It ends as one whose trail has failed. What it logs.
pub(super) async fn ended(gateway: &mut Gateway) -> String {
    let code = until("it ends", || gateway.process.ended()).await;
    let logged = gateway.process.logged();
    assert_eq!(code, Some(74), "{logged}");
    logged
}

/// What tells an operator what to do.
const ADVICE: [&str; 7] = [
    "free some space",
    "make it writable",
    "look into the system's log",
    "restore the newest copy",
    "check its path",
    "put it back",
    "end that program",
];

/// It names a file of the trail, and says what to do.
#[track_caller]
pub(super) fn explains(told: &str) {
    let helps = ADVICE.iter().any(|it| told.contains(it));
    assert!(told.contains("trail.db") && helps, "{told}");
}
