//! What ends a call that is under way, or changes what it may: another policy, and
//! the end of its caller's token.
//!
//! A call that is answered at once ends with the policy that it began with, but for
//! what `[deny]` says. A stream may run for long: it is decided about again whenever
//! there is another policy, and it ends with its caller's token.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::{StreamExt as _, future::pending, stream::BoxStream};

use super::Setup;
use crate::{
    auth::Caller,
    call::Call,
    clock::Clock,
    contract::{Contract, Operation},
    policy::{Permit, Policy},
    status::Error,
};

/// Where the setup comes from that holds now.
pub trait Source: fmt::Debug + Send + Sync {
    /// The one that holds now.
    fn current(&self) -> Arc<Setup>;

    /// The one that holds now, and then the latest whenever there is another.
    fn setups(&self) -> BoxStream<'static, Arc<Setup>>;
}

/// What has been decided about a call, and by which policy.
#[derive(Clone, Debug)]
pub(super) struct Decision {
    pub(super) policy: Arc<Policy>,
    pub(super) permit: Permit,
}

/// Hears of other policies while a call is under way.
pub(super) struct Revocation {
    pub(super) call: Arc<Call>,
    pub(super) caller: Arc<Caller>,
    pub(super) contract: Arc<Contract>,
    pub(super) method: &'static str,
    /// Where the call goes.
    pub(super) upstream: String,
    /// The policy that decided last.
    pub(super) policy: Arc<Policy>,
    pub(super) setups: BoxStream<'static, Arc<Setup>>,
}

impl Revocation {
    /// The next decision, by a policy other than the last.
    ///
    /// # Errors
    /// The denial.
    pub(super) async fn next(&mut self) -> Result<Decision, Error> {
        let policy = self.policy().await;
        let upstream = Some(&*self.upstream);
        let permit = policy.authorize(&self.caller, self.operation()?, upstream);
        let permit = permit.map_err(|it| self.call.note_denial(it, policy.version()))?;
        self.call.note_permit(&permit);
        Ok(Decision { policy, permit })
    }

    /// Waits for a policy whose `[deny]` denies the call. What is granted meanwhile,
    /// or no longer, is for calls that begin from then on.
    pub(super) async fn denied(&mut self) -> Error {
        loop {
            let policy = self.policy().await;
            let checked = self.operation().and_then(|operation| {
                let checked = policy.check_deny(&self.caller, operation, &self.upstream);
                checked.map_err(|it| self.call.note_denial(it, policy.version()))
            });
            if let Err(error) = checked {
                return error;
            }
        }
    }

    /// The next policy.
    async fn policy(&mut self) -> Arc<Policy> {
        while let Some(setup) = self.setups.next().await {
            if !Arc::ptr_eq(&setup.policy, &self.policy) {
                self.policy = setup.policy.clone();
                return setup.policy.clone();
            }
        }
        // no other comes
        pending().await
    }

    fn operation(&self) -> Result<&Operation, Error> {
        self.contract.operation(self.method).ok_or(Error::Internal)
    }
}

/// Waits until a time of day, whatever is done to the clock meanwhile.
pub(super) async fn time_comes(clock: &Clock, time: SystemTime) {
    const LOOK_AGAIN: Duration = Duration::from_secs(1);
    while let Ok(left) = time.duration_since(clock.now()) {
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(LOOK_AGAIN)).await;
    }
}
