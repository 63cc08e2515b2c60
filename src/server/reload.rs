//! Changes without a restart: what the configuration's file, and every file that
//! it names, say from now on replaces what holds.
//!
//! All of it does, or nothing: whatever is wrong with any file, what was in force
//! stays in force, and the log says all that is wrong. There is one exception, for
//! emergencies: what the policy's `[deny]` says holds as soon as nothing is wrong
//! with the policy's own file, besides what was in force. Calls under way end with
//! what they began with. Nothing else replaces what is live.

mod fixed;
mod watch;

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use tokio::{sync::Notify, task::spawn_blocking, time::sleep};

use self::watch::{PERIOD, Seen, Watch};
use super::{
    Error,
    state::{Before, Changed, Loaded, Loader, Refusal, State},
    upstreams,
};
use crate::{
    config::Config,
    gateway,
    live::Live,
    settings::Faults,
    telemetry::{Logs, Metrics},
};

/// How many looks at most a change is given to come to rest: a file may be half
/// written, or be the first of two that belong together.
const REST: u32 = 4;

/// The files of a configuration that is about to be used.
pub(super) struct Files {
    watch: Watch,
    seen: Seen,
}

/// What a reload changes, and what it is done with.
pub(super) struct Running {
    pub(super) loader: Loader,
    pub(super) live: Live<State>,
    pub(super) logs: Logs,
    pub(super) metrics: Metrics,
}

/// Follows a configuration's files.
pub(super) struct Reloader {
    running: Running,
    path: PathBuf,
    watch: Watch,
    /// What is in force.
    config: Config,
    /// What its files held when it came into force.
    taken: Seen,
    /// What the files held when they were last tried.
    tried: Seen,
    /// What they held when they were last looked at.
    last: Seen,
    /// For how many looks they have been other than what was tried.
    restless: u32,
    /// Whether commands are to be run.
    is_asked: bool,
}

impl Files {
    /// Looks at the files of a configuration, before what is in them is used:
    /// whatever changes from then on is noticed.
    pub(super) async fn of(config: &Config) -> Option<Self> {
        let origin = config.origin.as_ref()?;
        let mut watch = Watch::default();
        watch.follow(&origin.files);
        let mut seen = watch.look(false).await?;
        seen.insert(origin.path.clone(), Some(origin.digest));
        Some(Self { watch, seen })
    }
}

impl Reloader {
    /// Follows these files of a configuration that is in force; nothing if it was
    /// not read from a file.
    pub(super) fn new(running: Running, config: Config, files: Option<Files>) -> Option<Self> {
        let state = running.live.current();
        running
            .metrics
            .configuration_taken(state.gateway.loaded_at, 0);
        let Files { watch, seen } = files?;
        Some(Self {
            running,
            path: config.origin.as_ref()?.path.clone(),
            watch,
            config,
            tried: seen.clone(),
            last: seen.clone(),
            taken: seen,
            restless: 0,
            is_asked: false,
        })
    }

    /// Goes on for ever. When it is `asked`, it reads all files at once, and runs the
    /// commands that give credentials too.
    pub(super) async fn run(mut self, asked: Arc<Notify>) {
        while self.turn(&asked).await.is_some() {}
        tracing::error!("changes of the configuration are not followed any more");
    }

    /// Looks once, and does what there is to do. `None` if that is not possible any
    /// more.
    async fn turn(&mut self, asked: &Notify) -> Option<()> {
        let is_asked = tokio::select! {
            () = asked.notified() => true,
            () = sleep(PERIOD) => false,
        };
        self.is_asked |= is_asked;
        let seen = self.watch.look(is_asked).await?;
        let is_other = seen != self.tried;
        self.restless = if is_other { self.restless + 1 } else { 0 };
        let is_at_rest = seen == self.last || self.restless > REST;
        self.last.clone_from(&seen);
        if is_other && is_at_rest {
            self.attempt(seen, false).await?;
        } else if self.is_asked && !is_other {
            // commands take their time, and hold no file up
            let is_over = self.attempt(seen, true).await?;
            self.is_asked = !is_over;
        }
        Some(())
    }

    /// Tries to put what the files say into force, and what commands give anew. False
    /// if the files have changed meanwhile, so that it is too early to tell.
    async fn attempt(&mut self, mut seen: Seen, commands: bool) -> Option<bool> {
        let path = self.path.clone();
        let reading = spawn_blocking(move || Config::load_with_files(&path));
        let (wanted, named) = reading.await.ok()?;
        // as long as it is open whether this can be used: what it names, and what is
        // named by what is in force
        let files: BTreeSet<_> = self.taken.keys().chain(&named).cloned().collect();
        self.watch.follow(&files);
        for (path, digest) in self.watch.look(false).await? {
            seen.entry(path).or_insert(digest);
        }
        seen.retain(|path, _| files.contains(path));
        let is_new = |(path, digest): &(&PathBuf, _)| self.taken.get(*path) != Some(*digest);
        let new = seen.iter().filter(is_new).map(|(path, _)| path.clone());
        let changed = Changed {
            files: new.collect(),
            commands,
        };
        let state = self.running.live.current();
        let before = Before {
            config: &self.config,
            state: &state,
            changed: &changed,
        };
        let loaded = tokio::select! {
            loaded = load(&self.running.loader, wanted, before) => loaded,
            other = self.watch.other_than(&seen) => return other.map(|()| false),
        };
        if self.watch.look(false).await? != seen {
            return Some(false);
        }
        match loaded {
            Ok((config, fixed, loaded)) => {
                self.take(config, &fixed, loaded);
                self.watch.follow(&named);
                seen.retain(|path, _| named.contains(path));
                self.taken.clone_from(&seen);
            }
            Err(refusal) => self.refuse(refusal),
        }
        self.last.clone_from(&seen);
        (self.tried, self.restless) = (seen, 0);
        Some(true)
    }

    fn take(&mut self, config: Config, fixed: &[&'static str], loaded: Loaded) {
        let Running {
            loader,
            live,
            logs,
            metrics,
        } = &self.running;
        if config.log.level != self.config.log.level
            && let Err(error) = logs.filter(&config.log.level)
        {
            // the configuration's check let it through
            tracing::error!(error = &error as &dyn std::error::Error, "log.level");
        }
        loaded.remark();
        for it in loaded.renewals {
            it.take_effect();
        }
        let Loader {
            clock,
            random,
            tasks,
            ..
        } = loader;
        upstreams::follow(&loaded.new, (clock, random), tasks, metrics);
        let setup = loaded.state.gateway.clone();
        live.replace(loaded.state);
        self.config = config;
        metrics.configuration_taken(setup.loaded_at, fixed.len());
        tracing::info!(
            policy_version = setup.policy.version(),
            upstreams = self.config.upstreams.len(),
            issuers = self.config.auth.issuers.len(),
            "the configuration was read anew, and is in force"
        );
        for setting in fixed {
            tracing::warn!(
                setting,
                "this has changed, and takes a restart: until then, all but this is in force"
            );
        }
    }

    fn refuse(&self, Refusal { faults, policy }: Refusal) {
        let Running {
            live,
            metrics,
            loader,
            ..
        } = &self.running;
        let state = live.current();
        let since = state.gateway.refused_since;
        let before = &state.gateway.policy;
        let policy = policy.map_or_else(
            || before.clone(),
            |it| before.denying(&it, &loader.contract),
        );
        if !Arc::ptr_eq(&policy, before) {
            tracing::warn!(
                policy_version = policy.version(),
                "of the policy that was read anew, what its [deny] says is in force at once"
            );
        }
        let gateway = gateway::Setup {
            policy,
            refused_since: since.or_else(|| Some(loader.clock.now())),
            ..(*state.gateway).clone()
        };
        live.replace(State {
            gateway: Arc::new(gateway),
            ..(*state).clone()
        });
        metrics.configuration_refused();
        tracing::error!(
            faults = %Error::Faults(faults),
            "the configuration has changed and can't be used: what was in force stays in force"
        );
    }
}

/// Loads what is wanted, but for what takes a restart: these settings are told.
async fn load(
    loader: &Loader,
    wanted: Result<Config, Faults>,
    before: Before<'_>,
) -> Result<(Config, Vec<&'static str>, Loaded), Refusal> {
    match wanted {
        Ok(mut wanted) => {
            let fixed = fixed::put_back(before.config, &mut wanted);
            let loaded = loader.load(&wanted, Some(before)).await?;
            Ok((wanted, fixed, loaded))
        }
        Err(faults) => {
            // what is wrong with other files is told too
            let mut all = vec![Error::Config(faults)];
            let policy = match loader.load(before.config, Some(before)).await {
                Ok(loaded) => Some(loaded.state.gateway.policy.clone()),
                Err(others) => {
                    all.extend(others.faults);
                    others.policy
                }
            };
            Err(Refusal {
                faults: all,
                policy,
            })
        }
    }
}
