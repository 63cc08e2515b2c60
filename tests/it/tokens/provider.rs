//! A real OpenID provider, npm's `oidc-provider`, that changes its keys while
//! calls come in: what it has published has to be let in, what it has taken back
//! must not be.

use std::{
    collections::HashMap,
    process::Stdio,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use keygate::random::Random;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    task::JoinSet,
};

use super::{
    served::{Gate, ask},
    *,
};
use crate::support::{
    clock,
    gateway::{Client, PATIENCE},
    node,
    serve::until,
};

/// A running provider. It ends when it is dropped.
struct Provider {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    /// What it says of itself.
    about: Value,
}

impl Provider {
    async fn start() -> Self {
        let script = tokio::task::spawn_blocking(|| node::script("oidc_provider.mjs"));
        let mut child = Command::from(script.await.unwrap())
            .arg("keygate")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut provider = Self {
            _child: child,
            input,
            output,
            about: Value::Null,
        };
        provider.about = provider.line().await;
        provider
    }

    async fn line(&mut self) -> Value {
        let line = tokio::time::timeout(PATIENCE, self.output.next_line());
        let line = line.await.expect("the provider hangs").unwrap();
        serde_json::from_str(&line.expect("the provider has ended")).unwrap()
    }

    async fn tell(&mut self, wanted: &Value) -> Value {
        let line = format!("{wanted}\n");
        self.input.write_all(line.as_bytes()).await.unwrap();
        self.line().await
    }

    /// Tokens that a client gets from it now.
    async fn tokens(&mut self, count: usize) -> Vec<String> {
        let answer = self.tell(&json!({"tokens": count})).await;
        serde_json::from_value(answer["tokens"].clone()).unwrap()
    }

    /// How often its keys were asked for.
    async fn fetches(&mut self) -> u64 {
        self.tell(&json!({})).await["fetches"].as_u64().unwrap()
    }

    /// The section that trusts it, but for what its tokens are verified with.
    fn section(&self, keys: &str) -> String {
        format!(
            "[[auth.issuers]]\n\
             issuer = {}\n\
             audiences = [\"keygate\"]\n\
             typ = \"at+jwt\"\n\
             roles_claim = \"realm_access.roles\"\n\
             {keys}\n",
            self.about["issuer"]
        )
    }
}

/// What may come of a key's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// The provider publishes it.
    Published,
    /// It is being taken back: nobody can say when the gateway knows.
    Leaving,
    /// The gateway has keys that were published after it was taken back.
    Gone,
}

/// What the callers call with, and how they are answered.
#[derive(Default)]
struct Load {
    keys: Mutex<HashMap<String, (Standing, Vec<String>)>>,
    accepted: AtomicU64,
    refused: AtomicU64,
    forged: AtomicU64,
}

impl Load {
    fn set(&self, kid: &str, standing: Standing) {
        self.keys.lock().unwrap().get_mut(kid).unwrap().0 = standing;
    }

    fn standing(&self, kid: &str) -> Standing {
        self.keys.lock().unwrap()[kid].0
    }

    /// A token, its key, and what may come of it.
    fn pick(&self, random: &Random) -> (String, Standing, String) {
        let keys = self.keys.lock().unwrap();
        let any = |many: usize| usize::from(u16::from_le_bytes(random.bytes())) % many;
        let (kid, (standing, tokens)) = keys.iter().nth(any(keys.len())).unwrap();
        (kid.clone(), *standing, tokens[any(tokens.len())].clone())
    }

    /// Calls for ever, and panics at the first wrong decision.
    async fn call(&self, client: Client) {
        let random = Random::system();
        loop {
            let (kid, before, token) = self.pick(&random);
            let forge = random.fraction() < 0.1;
            let sent = if forge { forged(&token) } else { token };
            let answer = ask(&client, &sent).await;
            let reason = answer.reason();
            match (answer.code(), reason.as_str()) {
                ("OK", _) => {
                    assert!(!forge, "a forged token is let in");
                    assert_ne!(before, Standing::Gone, "{kid} is let in");
                    self.accepted.fetch_add(1, Relaxed);
                }
                ("UNAUTHENTICATED", "TOKEN_INVALID") if forge => {
                    self.forged.fetch_add(1, Relaxed);
                }
                ("UNAUTHENTICATED", "TOKEN_INVALID") => {
                    let now = self.standing(&kid);
                    assert_ne!(now, Standing::Published, "{kid} is refused");
                    self.refused.fetch_add(1, Relaxed);
                }
                other => panic!("{kid}: {other:?}"),
            }
        }
    }

    fn decisions(&self) -> [u64; 3] {
        [&self.accepted, &self.refused, &self.forged].map(|it| it.load(Relaxed))
    }

    /// Waits until so many more calls were let in and, if any can be, refused.
    async fn goes_on(&self, more: u64) {
        let before = self.decisions();
        let any_gone = {
            let keys = self.keys.lock().unwrap();
            keys.values().any(|it| it.0 == Standing::Gone)
        };
        let enough = || {
            let now = self.decisions();
            let grown = |at: usize| now[at] - before[at] >= more;
            (grown(0) && (grown(1) || !any_gone)).then_some(())
        };
        until("calls go on", enough).await;
    }
}

/// A token whose signature is another's by one letter.
fn forged(token: &str) -> String {
    let at = token.rfind('.').unwrap() + 5;
    let letter = if &token[at..=at] == "A" { "B" } else { "A" };
    format!("{}{letter}{}", &token[..at], &token[at + 1..])
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_rotate_under_load_without_one_wrong_decision() {
    const ALGORITHMS: [&str; 10] = [
        "ES256", "RS256", "EdDSA", "PS256", "ES384", "Ed25519", "RS384", "PS384", "RS512", "PS512",
    ];
    let (_, clock) = clock::manual();
    let mut provider = Provider::start().await;
    let keys = format!("jwks = {}", provider.about["jwks_uri"]);
    let gate = Gate::start(&provider.section(&keys), &[], &clock).await;
    let load = Arc::new(Load::default());
    let first = provider.tokens(5).await;
    gate.ask(&first[0]).await.ok();
    let kids = |number: usize| match number {
        0 => "first".to_owned(),
        number => format!("{}-{number}", ALGORITHMS[number - 1]),
    };
    let add = |number: usize, tokens: Vec<String>| {
        let mut keys = load.keys.lock().unwrap();
        keys.insert(kids(number), (Standing::Published, tokens));
    };
    add(0, first);

    let mut callers = JoinSet::new();
    for _ in 0..12 {
        let (load, client) = (load.clone(), gate.client());
        callers.spawn(async move { load.call(client).await });
    }
    let rotate = async {
        let mut expected = 1;
        for (number, alg) in (1..).zip(ALGORITHMS) {
            // The new key signs at once, and the one before it is still published.
            let before = number - 1;
            let mut published = vec![json!({"kid": kids(number), "alg": alg})];
            published.push(json!({"kid": kids(before)}));
            if before > 0 {
                load.set(&kids(before - 1), Standing::Leaving);
            }
            provider.tell(&json!({"keys": published})).await;
            clock.advance(Duration::from_secs(30));
            let tokens = provider.tokens(5).await;
            add(number, tokens.clone());
            gate.ask(&tokens[0]).await.ok();
            if before > 0 {
                load.set(&kids(before - 1), Standing::Gone);
            }
            expected += 1;
            load.goes_on(100).await;
            assert_eq!(
                provider.fetches().await,
                expected,
                "one fetch for each rotation"
            );
        }
        // While it is down, its last keys hold: what was published is let in, what
        // was taken back is not.
        provider.tell(&json!({"down": true})).await;
        clock.advance(Duration::from_secs(30));
        load.goes_on(100).await;
        assert_eq!(provider.fetches().await, expected + 1);
    };
    tokio::select! {
        () = rotate => {}
        wrong = callers.join_next() => panic!("{wrong:?}"),
    }
    let [accepted, refused, forged] = load.decisions();
    println!("{accepted} let in, {refused} refused as their key was gone, {forged} as forged");
    assert!(accepted > 1000 && refused > 500 && forged > 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_shared_with_a_provider_is_for_its_hs256_tokens_alone() {
    let (_, clock) = clock::manual();
    let mut provider = Provider::start().await;
    let section = provider.section("shared_secret = { file = \"secret\" }");
    let gate = Gate::start(&section, &[("secret", SECRET)], &clock).await;
    let public = provider.tokens(1).await;
    assert_eq!(gate.ask(&public[0]).await.reason(), "TOKEN_INVALID");
    provider.tell(&json!({"secret": SECRET})).await;
    let shared = provider.tokens(1).await;
    gate.ask(&shared[0]).await.ok();
    assert_eq!(
        gate.ask(&forged(&shared[0])).await.reason(),
        "TOKEN_INVALID"
    );
    let other = json!({"secret": format!("{SECRET}-but-another")});
    provider.tell(&other).await;
    let other = provider.tokens(1).await;
    assert_eq!(gate.ask(&other[0]).await.reason(), "TOKEN_INVALID");
    assert_eq!(provider.fetches().await, 0);
}
