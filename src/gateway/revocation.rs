//! What ends a call that is under way, or changes what it may: another policy, and
//! the end of its caller's token.

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
    /// The one that holds now, and then the latest whenever there is another.
    fn setups(&self) -> BoxStream<'static, Arc<Setup>>;
}

/// What has been decided about a call, and by which policy.
#[derive(Clone, Debug)]
pub(super) struct Decision {
    pub(super) policy: Arc<Policy>,
    pub(super) permit: Permit,
}

/// Decides about a call again whenever there is another policy.
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
        let policy = loop {
            match self.setups.next().await {
                Some(setup) if !Arc::ptr_eq(&setup.policy, &self.policy) => {
                    break setup.policy.clone();
                }
                Some(_) => {}
                // no other comes
                None => pending().await,
            }
        };
        self.policy = policy.clone();
        let operation: &Operation = self
            .contract
            .operation(self.method)
            .ok_or(Error::Internal)?;
        let decided = policy.authorize(&self.caller, operation, Some(&self.upstream));
        let permit = decided.map_err(|it| self.call.note_denial(it, policy.version()))?;
        self.call.note_permit(&permit);
        Ok(Decision { policy, permit })
    }

    /// Waits for a policy that denies the call.
    pub(super) async fn denied(&mut self) -> Error {
        loop {
            if let Err(error) = self.next().await {
                return error;
            }
        }
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
