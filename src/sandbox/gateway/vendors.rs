//! The simulated vendors of a sandbox, and what its configuration says of them.

use secrecy::SecretString;

use super::Options;
use crate::{
    clock::Clock,
    contract::proto::keygate::coveo::v1::Region,
    coveo::region,
    datadog::site,
    random::Random,
    sandbox::{braintrust, coveo, datadog, http},
    tasks::Tasks,
};

/// The name of each site's organization.
const ORG: &str = "main";

/// The name of Braintrust's instance.
const INSTANCE: &str = "default";

/// A running simulator.
pub(super) struct Simulated {
    /// Its name among the sandbox's: `datadog/us1`.
    pub(super) name: String,
    /// Its base URL.
    pub(super) base_url: String,
    /// The section of the configuration that it belongs in.
    pub(super) section: &'static str,
    /// What that section says of it, but for what it says of all.
    pub(super) settings: Vec<(&'static str, String)>,
    /// What callers of the vendor itself have to know beside the credentials.
    pub(super) organization_id: Option<String>,
    /// A service account that may have keys or tokens.
    pub(super) service_account_id: Option<String>,
    /// The master's credentials, by the settings that name them.
    pub(super) masters: Vec<(&'static str, SecretString)>,
}

/// What simulators are started with.
pub(super) struct Vendors<'a> {
    pub(super) options: &'a Options,
    pub(super) clock: &'a Clock,
    pub(super) random: &'a Random,
    pub(super) tasks: &'a Tasks,
}

impl Vendors<'_> {
    /// Starts every site of Datadog, Braintrust, and every region of Coveo.
    pub(super) async fn start(&self) -> Result<Vec<Simulated>, http::Error> {
        let mut all = Vec::new();
        for name in site::ALL.into_iter().filter_map(site::name) {
            all.push(self.datadog(name).await?);
        }
        all.push(self.braintrust().await?);
        for region in region::ALL {
            all.push(self.coveo(region).await?);
        }
        Ok(all)
    }

    async fn datadog(&self, name: &'static str) -> Result<Simulated, http::Error> {
        let options = datadog::Options {
            name: name.to_owned(),
            one_time_read: self.options.one_time_read,
            latency: self.options.latency,
            ..datadog::Options::default()
        };
        let (clock, random) = (self.clock.clone(), self.random.clone());
        let site = datadog::Site::start(options, clock, random, self.tasks).await?;
        Ok(Simulated {
            name: format!("datadog/{name}"),
            base_url: site.base_url(),
            section: "datadog",
            settings: vec![("site", name.to_owned()), ("org", ORG.to_owned())],
            organization_id: None,
            service_account_id: Some(site.service_account_id().to_owned()),
            masters: vec![
                ("api_key", site.api_key().clone()),
                ("app_key", site.app_key().clone()),
            ],
        })
    }

    async fn braintrust(&self) -> Result<Simulated, http::Error> {
        let options = braintrust::Options {
            name: INSTANCE.to_owned(),
            latency: self.options.latency,
            ..braintrust::Options::default()
        };
        let (clock, random) = (self.clock.clone(), self.random.clone());
        let instance = braintrust::Instance::start(options, clock, random, self.tasks).await?;
        Ok(Simulated {
            name: format!("braintrust/{INSTANCE}"),
            base_url: instance.base_url(),
            section: "braintrust",
            settings: vec![("name", INSTANCE.to_owned())],
            organization_id: None,
            service_account_id: Some(instance.service_account_id()),
            masters: vec![("token", instance.token().clone())],
        })
    }

    async fn coveo(&self, region: Region) -> Result<Simulated, http::Error> {
        let name = region::name(region).unwrap_or_default();
        let options = coveo::Options {
            name: name.to_owned(),
            region,
            latency: self.options.latency,
            ..coveo::Options::default()
        };
        let (clock, random) = (self.clock.clone(), self.random.clone());
        let it = coveo::Organization::start(options, clock, random, self.tasks).await?;
        let organization_id = it.organization_id().to_owned();
        Ok(Simulated {
            name: format!("coveo/{name}"),
            base_url: it.base_url(),
            section: "coveo",
            settings: vec![
                ("region", name.to_owned()),
                ("organization_id", organization_id.clone()),
            ],
            organization_id: Some(organization_id),
            service_account_id: None,
            masters: vec![("token", it.token().clone())],
        })
    }
}
