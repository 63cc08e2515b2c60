//! Checkpoints leave the store.

use std::sync::{Arc, Mutex};

use axum::{Router, http::StatusCode, routing::post};
use keygate::tasks::Tasks;

use super::*;
use crate::support::{serve::Setup, tls::Authority};

/// Somebody who takes checkpoints over HTTPS.
struct Taker {
    taken: Arc<Mutex<Vec<String>>>,
    refusing: Arc<Mutex<bool>>,
    authority: Authority,
    url: String,
    tasks: Tasks,
}

impl Drop for Taker {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

impl Taker {
    async fn new() -> Self {
        let (taken, refusing) = (
            Arc::new(Mutex::new(Vec::new())),
            Arc::new(Mutex::new(false)),
        );
        let (to, refuses) = (taken.clone(), refusing.clone());
        let take = move |note: String| async move {
            if *refuses.lock().unwrap() {
                return StatusCode::SERVICE_UNAVAILABLE;
            }
            to.lock().unwrap().push(note);
            StatusCode::NO_CONTENT
        };
        let tasks = Tasks::new();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let plain = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().route("/checkpoints", post(take));
        tasks.spawn_background(async move { axum::serve(listener, routes).await.unwrap() });
        let authority = Authority::new();
        let url = authority.before(&plain, &tasks).await;
        Self {
            taken,
            refusing,
            authority,
            url: format!("{url}/checkpoints"),
            tasks,
        }
    }

    fn covers(&self) -> u64 {
        let taken = self.taken.lock().unwrap();
        let newest = taken.last().map(|it| it.lines().nth(1).unwrap().to_owned());
        newest.map_or(0, |it| it.parse().unwrap())
    }
}

async fn setup(checkpoints: &str) -> Setup {
    let setup = Setup::new("", "").await;
    let text = fs::read_to_string(setup.config()).unwrap();
    let text = text.replace("checkpoints = { stdout = false }", checkpoints);
    setup.write("keygate.toml", &text);
    setup
}

/// A call that is refused: one record.
async fn refused(client: &crate::support::gateway::Client) {
    let answer = client.call(LIST, None, &client.request(LIST, "")).await;
    assert_eq!(answer.code(), "UNAUTHENTICATED");
}

#[tokio::test(flavor = "multi_thread")]
async fn they_go_to_standard_output_to_a_file_and_to_a_url() {
    let taker = Taker::new().await;
    let setup =
        setup("checkpoints = { file = \"kept.txt\", url = \"URL\", ca = \"ca.pem\" }").await;
    setup.write("ca.pem", &taker.authority.certificate);
    let text = fs::read_to_string(setup.config()).unwrap();
    setup.write("keygate.toml", &text.replace("URL", &taker.url));
    let mut gateway = setup.serve().await;
    let client = gateway.client();
    let kept = setup.folder.path().join("kept.txt");
    for size in 1..=3 {
        refused(&client).await;
        until("the file has it", || (covered(&kept) >= size).then_some(())).await;
        until("the URL has it", || (taker.covers() >= size).then_some(())).await;
    }
    let printed = gateway.process.printed(|it| it.contains("keygate\\n3\\n"));
    for line in &printed {
        let line: Json = serde_json::from_str(line).unwrap();
        assert!(
            line["checkpoint"]
                .as_str()
                .unwrap()
                .starts_with("keygate\n")
        );
    }
    // the last record, too, is covered at the end
    refused(&client).await;
    assert_eq!(
        gateway.process.terminate(),
        Some(0),
        "{}",
        gateway.process.logged()
    );
    assert_eq!((covered(&kept), taker.covers()), (4, 4));

    // and what was sent out holds against the trail
    let store = format!("sqlite:{}", setup.folder.path().join("trail.db").display());
    let key = setup.folder.path().join("trail.pub");
    let signing_key = setup.folder.path().join("signing.pem");
    let shown = audit(&["key", "--signing-key", signing_key.to_str().unwrap()]);
    fs::write(&key, shown.stdout).unwrap();
    let by_url = setup.write("by-url.txt", &taker.taken.lock().unwrap().concat());
    let out = setup.write("stdout.txt", &printed.join("\n"));
    let mut arguments = vec!["verify", "--store", &store, "--key", key.to_str().unwrap()];
    for path in [&kept, &by_url, &out] {
        arguments.extend(["--checkpoints", path.to_str().unwrap()]);
    }
    let output = audit(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", all_told(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_take_them_holds_nobody_up() {
    let taker = Taker::new().await;
    *taker.refusing.lock().unwrap() = true;
    let setup = setup("checkpoints = { stdout = false, file = \"no/such/folder/kept.txt\", url = \"URL\", ca = \"ca.pem\" }").await;
    setup.write("ca.pem", &taker.authority.certificate);
    let text = fs::read_to_string(setup.config()).unwrap();
    setup.write("keygate.toml", &text.replace("URL", &taker.url));
    let gateway = setup.serve().await;
    let client = gateway.client();
    refused(&client).await;
    until("it is logged", || {
        let logged = gateway.process.logged();
        let told = |outlet: &str| {
            let lines = logged.lines();
            lines
                .filter(|it| it.contains("can't be sent out") && it.contains(outlet))
                .count()
                == 1
        };
        (told("\"file\"") && told("\"url\"") && logged.contains("503")).then_some(())
    })
    .await;
    let metrics = crate::support::http::Http::new(&gateway.http, Vec::new())
        .get("/metrics")
        .await;
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    assert!(
        metrics.contains("keygate_checkpoint_failures_total{outlet=\"url\"}"),
        "{metrics}"
    );
    // what came meanwhile is in the next one that is taken
    refused(&client).await;
    *taker.refusing.lock().unwrap() = false;
    fs::create_dir_all(setup.folder.path().join("no/such/folder")).unwrap();
    until("the URL has it", || (taker.covers() == 2).then_some(())).await;
    refused(&client).await;
    let kept = setup.folder.path().join("no/such/folder/kept.txt");
    until("the file has it", || (covered(&kept) == 3).then_some(())).await;
    until("it is logged", || {
        let logged = gateway.process.logged();
        logged.contains("sent out again").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_that_is_said() {
    let setup = setup("").await;
    let text = fs::read_to_string(setup.config()).unwrap();
    setup.write(
        "keygate.toml",
        &text.replace("signing_key = { file = \"signing.pem\" }", ""),
    );
    let mut gateway = setup.serve().await;
    refused(&gateway.client()).await;
    assert!(
        gateway
            .process
            .logged()
            .contains("audit.signing_key is not set")
    );
    assert_eq!(gateway.process.terminate(), Some(0));
    // the tree is there all the same, and a key that comes later vouches for all of it
    let store = format!("sqlite:{}", setup.folder.path().join("trail.db").display());
    setup.write("keygate.toml", &text);
    let mut gateway = setup.serve().await;
    assert_eq!(gateway.process.terminate(), Some(0));
    let signing_key = setup.folder.path().join("signing.pem");
    let key = audit(&["key", "--signing-key", signing_key.to_str().unwrap()]);
    let key = String::from_utf8(key.stdout).unwrap();
    let output = audit(&["verify", "--store", &store, "--key", key.trim()]);
    assert_eq!(output.status.code(), Some(0), "{}", all_told(&output));
    assert!(
        all_told(&output).contains("covers 1 records"),
        "{}",
        all_told(&output)
    );
}
