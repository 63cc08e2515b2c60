//! Calls that keygate answers by itself: at once, from what has to be looked up, or
//! as a stream. They are authorized and concluded as all others are.

use std::{sync::Arc, time::Instant};

use tokio::time::timeout_at;
use tonic::{Request, Response, Status};

use super::{
    Admitted, Gateway, Items, Setup, conclude, finish, given, parts,
    revocation::Revocation,
    stream::{self, Sender},
};
use crate::{
    auth::Caller,
    call::{Call, Conclusion},
    policy::Denial,
    status::Error,
};

/// Where the messages of a stream go that keygate answers by itself.
pub struct Outlet<T> {
    sender: Sender<T>,
    given: Option<Instant>,
}

impl<T> Outlet<T> {
    /// Sends a message once its caller has room for it.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if the caller has gone, and
    /// [`Error::DeadlineExceeded`] if its time is up.
    pub async fn send(&self, message: T) -> Result<(), Error> {
        match self.within(self.sender.send(message)).await? {
            true => Ok(()),
            false => Err(Error::Cancelled),
        }
    }

    /// Waits for something, for as long as the caller does.
    ///
    /// # Errors
    /// As of [`Self::send`].
    pub async fn wait<R>(&self, what: impl Future<Output = R>) -> Result<R, Error> {
        let what = self.within(what);
        tokio::select! {
            it = what => it,
            () = self.sender.closed() => Err(Error::Cancelled),
        }
    }

    async fn within<R>(&self, what: impl Future<Output = R>) -> Result<R, Error> {
        match self.given {
            None => Ok(what.await),
            Some(end) => {
                let it = timeout_at(end.into(), what).await;
                it.map_err(|_| Error::DeadlineExceeded)
            }
        }
    }
}

impl Gateway {
    /// Takes a call that keygate answers by itself.
    ///
    /// # Errors
    /// The status of whatever stood in its way.
    pub async fn local<Q, A>(
        &self,
        method: &'static str,
        request: Request<Q>,
        answer: impl FnOnce(&Setup, &Caller, &Q) -> Result<A, Error>,
    ) -> Result<Response<A>, Status> {
        let (call, admitted, _, request) = parts(request)?;
        let permitted = self.permitted(method, &call, admitted.as_ref());
        let answered = permitted.and_then(|Admitted { caller, setup }| {
            answer(setup, caller, &request).map_err(|error| match error {
                Error::PolicyDenied { missing, rule } => {
                    call.note_denial(Denial { missing, rule }, setup.policy.version())
                }
                error => error,
            })
        });
        answer_with(&call, answered).await
    }

    /// Takes a call whose answer has to be looked up.
    ///
    /// # Errors
    /// The status of whatever stood in its way.
    pub async fn look_up<Q, A, F>(
        &self,
        method: &'static str,
        request: Request<Q>,
        look: impl FnOnce(Arc<Call>, Q) -> F,
    ) -> Result<Response<A>, Status>
    where
        F: Future<Output = Result<A, Error>>,
    {
        let (call, admitted, metadata, request) = parts(request)?;
        let found = match self.permitted(method, &call, admitted.as_ref()) {
            Ok(Admitted { setup, .. }) => {
                let limits = &setup.limits;
                let most = given(&metadata, limits).unwrap_or(limits.request_timeout);
                let end = call.started() + most.min(limits.request_timeout);
                let found = timeout_at(end.into(), look(call.clone(), request)).await;
                found.unwrap_or(Err(Error::DeadlineExceeded))
            }
            Err(error) => Err(error),
        };
        answer_with(&call, found).await
    }

    /// Takes a call that keygate answers with a stream. `begin` looks at the request,
    /// before the stream begins, and says what is to be done; `weigh` what a message
    /// counts in the record.
    ///
    /// # Errors
    /// The status of whatever stood in its way before the stream began.
    pub async fn local_stream<Q, T, B, F>(
        &self,
        method: &'static str,
        request: Request<Q>,
        weigh: fn(&T) -> u64,
        begin: impl FnOnce(Arc<Call>, Q, Outlet<T>) -> B,
    ) -> Result<Response<Items<T>>, Status>
    where
        T: Send + 'static,
        B: Future<Output = Result<F, Error>>,
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let (call, admitted, metadata, request) = parts(request)?;
        let begun = match self.permitted(method, &call, admitted.as_ref()) {
            Ok(Admitted { caller, setup }) => {
                let (sender, items) = stream::channel(weigh);
                let given = given(&metadata, &setup.limits).map(|it| call.started() + it);
                let outlet = Outlet {
                    sender: sender.clone(),
                    given,
                };
                let revocation = Revocation {
                    call: call.clone(),
                    caller: caller.clone(),
                    contract: self.contract.clone(),
                    method,
                    upstream: String::new(),
                    policy: setup.policy.clone(),
                    setups: self.source.setups(),
                };
                let end = call.started() + setup.limits.request_timeout;
                let end = given.map_or(end, |it| it.min(end));
                let begun = timeout_at(end.into(), begin(call.clone(), request, outlet)).await;
                begun.unwrap_or(Err(Error::DeadlineExceeded)).map(|work| {
                    let closing = self.closing.clone();
                    let tasks = &call.ledger().tasks;
                    tasks.spawn(stream::run_local(revocation, closing, sender, work));
                    items
                })
            }
            Err(error) => Err(error),
        };
        finish(&call, begun.map_err(Into::into)).await
    }

    /// Decides about a call as far as the caller and the method tell.
    fn permitted<'a>(
        &self,
        method: &'static str,
        call: &Call,
        admitted: Option<&'a Admitted>,
    ) -> Result<&'a Admitted, Error> {
        let admitted = admitted.ok_or(Error::TokenMissing)?;
        let operation = self.contract.operation(method).ok_or(Error::Internal)?;
        let Admitted { caller, setup } = admitted;
        let permit = setup.policy.authorize(caller, operation, None);
        let permit = permit.map_err(|it| call.note_denial(it, setup.policy.version()))?;
        call.note_permit(&permit);
        Ok(admitted)
    }
}

/// Concludes the call, and answers.
async fn answer_with<A>(call: &Call, answer: Result<A, Error>) -> Result<Response<A>, Status> {
    let result = match answer {
        Ok(answer) => {
            let concluded = conclude(call, Conclusion::succeeded(Vec::new())).await;
            concluded.map(|()| answer)
        }
        Err(error) => Err(error.into()),
    };
    finish(call, result).await
}
