//! Simulated vendors in the test itself, so that it can set them up and read any
//! state, and what a gateway's configuration says of them.

use std::{fmt::Write as _, fs, path::Path, sync::Arc};

use keygate::{clock::Clock, sandbox::faults::Rule, tasks::Tasks};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value as Json;
use tempfile::TempDir;

use super::{
    tls::Authority,
    vendors::{self, Simulator, Vendor},
};

/// A place that the gateway is to know.
pub(crate) struct Place {
    pub(crate) vendor: &'static Vendor,
    /// Datadog's site, Coveo's region.
    pub(crate) region: &'static str,
    /// The configured name.
    pub(crate) name: String,
    /// Further settings, as the configuration writes them.
    settings: String,
    masters: Vec<SecretString>,
    /// Where requests go instead of to a simulator.
    elsewhere: Option<String>,
    /// The time of its simulator.
    pub(crate) clock: Clock,
    /// Who certifies its simulator, if that speaks TLS.
    authority: Option<Arc<Authority>>,
}

impl Place {
    pub(crate) fn new(vendor: &'static Vendor, name: &str) -> Self {
        Self {
            vendor,
            region: vendor.region,
            name: name.to_owned(),
            settings: String::new(),
            masters: Vec::new(),
            elsewhere: None,
            clock: Clock::system(),
            authority: None,
        }
    }

    /// One of each vendor, all of this name.
    pub(crate) fn everywhere(name: &str) -> Vec<Self> {
        let all = vendors::ALL.into_iter();
        all.map(|vendor| Self::new(vendor, name)).collect()
    }

    /// On this site, in this region.
    pub(crate) fn on(mut self, region: &'static str) -> Self {
        self.region = region;
        self
    }

    /// With this line in its section of the configuration.
    pub(crate) fn with(mut self, setting: &str) -> Self {
        self.settings += &format!("{setting}\n");
        self
    }

    /// With these master credentials, in the order of [`Vendor::masters`].
    pub(crate) fn with_masters(mut self, masters: Vec<SecretString>) -> Self {
        self.masters = masters;
        self
    }

    /// Without a simulator: requests go there.
    pub(crate) fn elsewhere(mut self, base_url: &str) -> Self {
        self.elsewhere = Some(base_url.to_owned());
        self
    }

    /// With a simulator that has this time.
    pub(crate) fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// With a simulator that speaks TLS.
    pub(crate) fn over_tls(self, authority: &Arc<Authority>) -> Self {
        Self {
            authority: Some(authority.clone()),
            ..self.with(&authority.client_setting())
        }
    }

    /// The master credentials that it is to have; otherwise they are random.
    pub(crate) fn masters<const N: usize>(&self) -> [Option<SecretString>; N] {
        std::array::from_fn(|at| self.masters.get(at).cloned())
    }

    /// Its full name: `datadog/us1/main`.
    pub(crate) fn upstream(&self) -> String {
        self.vendor.upstream(self.region, &self.name)
    }
}

/// Simulated vendors. They end when they are dropped.
pub(crate) struct Upstreams {
    /// Each with its simulator, unless requests go elsewhere.
    running: Vec<(Place, Option<Box<dyn Simulator>>)>,
    /// What the configuration says of them.
    pub(crate) config: String,
    secrets: TempDir,
    tasks: Tasks,
}

impl Drop for Upstreams {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

impl Upstreams {
    /// Starts the simulators of these places.
    pub(crate) async fn start(places: Vec<Place>) -> Self {
        let tasks = Tasks::new();
        let secrets = tempfile::tempdir().unwrap();
        let (mut running, mut config) = (Vec::new(), String::new());
        for place in places {
            let simulator = match place.elsewhere {
                Some(_) => None,
                None => Some((place.vendor.start)(&place, &tasks).await),
            };
            let base_url = match (&simulator, &place.authority) {
                (None, _) => place.elsewhere.clone().unwrap(),
                (Some(it), None) => it.base_url(),
                (Some(it), Some(authority)) => authority.before(&it.base_url(), &tasks).await,
            };
            let masters = simulator.as_ref().map(|it| it.masters());
            let masters = masters.unwrap_or_else(|| place.masters.clone());
            config += &section(&place, &base_url, &masters, secrets.path());
            running.push((place, simulator));
        }
        Self {
            running,
            config,
            secrets,
            tasks,
        }
    }

    /// All places that have a simulator, with it.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Place, &dyn Simulator)> {
        let running = self.running.iter();
        running.filter_map(|(place, simulator)| Some((place, simulator.as_deref()?)))
    }

    /// The simulator of an upstream: `datadog/us1/main`.
    #[track_caller]
    pub(crate) fn at(&self, upstream: &str) -> &dyn Simulator {
        let mut all = self.all();
        let found = all.find(|(place, _)| place.upstream() == upstream);
        found.unwrap_or_else(|| panic!("no {upstream}")).1
    }

    /// Replaces one of the gateway's credentials for an upstream, where it is.
    pub(crate) fn renew(&self, upstream: &str, setting: &str, secret: &str) {
        let path = self.secrets.path().join(secret_name(upstream, setting));
        let new = path.with_extension("new");
        fs::write(&new, secret).unwrap();
        private(&new);
        fs::rename(&new, &path).unwrap();
    }

    /// Makes no fault any more, anywhere.
    pub(crate) fn clear(&self) {
        self.all().for_each(|(_, it)| it.faults().clear());
    }

    /// The requests that all of them have received.
    pub(crate) fn requests(&self) -> Vec<Json> {
        self.all().flat_map(|(_, it)| requests(it)).collect()
    }
}

/// A section of the configuration. The first of its credentials comes from a
/// file, any further ones from a command.
fn section(place: &Place, base_url: &str, masters: &[SecretString], folder: &Path) -> String {
    let mut text = format!(
        "\n[[{}]]\n{}{}base_url = \"{base_url}\"\n",
        place.vendor.name,
        (place.vendor.section)(place),
        place.settings,
    );
    for (at, setting) in place.vendor.masters.iter().enumerate() {
        let secret = masters.get(at).map(|it| it.expose_secret());
        let path = folder.join(secret_name(&place.upstream(), setting));
        fs::write(&path, secret.unwrap_or("nobody-is-there-to-look-at-it")).unwrap();
        private(&path);
        let path = path.to_str().unwrap();
        let source = match at {
            0 => format!("file = \"{path}\""),
            _ => format!("command = [\"cat\", \"{path}\"]"),
        };
        writeln!(text, "{setting} = {{ {source} }}").unwrap();
    }
    text
}

/// The name of the file with a credential.
fn secret_name(upstream: &str, setting: &str) -> String {
    format!("{}-{setting}", upstream.replace('/', "-"))
}

fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// The requests that a simulator has received, but for those that the gateway
/// makes for itself.
pub(crate) fn requests(simulator: &dyn Simulator) -> Vec<Json> {
    asked(simulator.state())
}

/// The same, of a simulator's state.
pub(crate) fn asked(mut state: Json) -> Vec<Json> {
    let Json::Array(mut requests) = state["requests"].take() else {
        panic!("no requests in the state");
    };
    requests.retain(|it| !is_for_itself(it["headers"]["user-agent"].as_str()));
    requests
}

/// Whether the gateway makes a request of this user agent for itself: it looks for
/// its own keys.
pub(crate) fn is_for_itself(user_agent: Option<&str>) -> bool {
    user_agent.is_some_and(|it| it.ends_with(" own-keys"))
}

/// Makes a fault.
pub(crate) fn inject(simulator: &dyn Simulator, rule: Json) {
    let rule: Rule = serde_json::from_value(rule).unwrap();
    simulator.faults().inject(rule).unwrap();
}
