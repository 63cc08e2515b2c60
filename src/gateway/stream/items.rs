//! The messages of a stream on their way to its caller, and how it ends.
//!
//! What has been sent waits until the transport takes it. Until then it can be
//! taken back: whoever may see no more is not shown what was already on its way.

use std::{
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use futures_util::Stream;
use tokio::sync::mpsc;
use tonic::Status;

/// The messages of a stream, and the status that it ends with if it fails.
#[derive(Debug)]
pub struct Items<T> {
    messages: mpsc::Receiver<T>,
    state: Arc<Mutex<State>>,
    /// What a message counts.
    weigh: fn(&T) -> u64,
}

/// The other end.
pub(in crate::gateway) struct Sender<T> {
    messages: mpsc::Sender<T>,
    state: Arc<Mutex<State>>,
    weigh: fn(&T) -> u64,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self {
            messages: self.messages.clone(),
            state: self.state.clone(),
            weigh: self.weigh,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    /// How much has been sent.
    sent: u64,
    /// How much of that the transport has taken.
    taken: u64,
    /// Whether those that wait are taken back.
    is_stopped: bool,
    end: End,
}

#[derive(Debug, Default)]
enum End {
    /// Nobody has said how it ends.
    #[default]
    Open,
    Well,
    Failed(Status),
}

/// A stream of which so many messages may wait. `weigh` tells what one counts.
pub(super) fn channel<T>(ahead: usize, weigh: fn(&T) -> u64) -> (Sender<T>, Items<T>) {
    let (sender, receiver) = mpsc::channel(ahead);
    let state = Arc::<Mutex<State>>::default();
    let sender = Sender {
        messages: sender,
        state: state.clone(),
        weigh,
    };
    let items = Items {
        messages: receiver,
        state,
        weigh,
    };
    (sender, items)
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Sender<T> {
    /// Waits for room for a message; `None` if the caller has gone.
    pub(super) async fn room(&self) -> Option<mpsc::Permit<'_, T>> {
        self.messages.reserve().await.ok()
    }

    /// Sends a message once there is room for it. Whether the caller is still there.
    pub(in crate::gateway) async fn send(&self, message: T) -> bool {
        let Some(room) = self.room().await else {
            return false;
        };
        lock(&self.state).sent += (self.weigh)(&message);
        room.send(message);
        true
    }

    /// How much has been sent in this way.
    pub(super) fn sent(&self) -> u64 {
        lock(&self.state).sent
    }

    /// Waits until the caller has gone.
    pub(in crate::gateway) async fn closed(&self) {
        self.messages.closed().await;
    }

    /// How much the transport has taken.
    pub(super) fn taken(&self) -> u64 {
        lock(&self.state).taken
    }

    /// Takes back what the transport has not taken, and lets it take no more.
    pub(super) fn stop(&self) {
        lock(&self.state).is_stopped = true;
    }

    /// Ends the stream after its last message.
    pub(super) fn end(self, result: Result<(), Status>) {
        lock(&self.state).end = match result {
            Ok(()) => End::Well,
            Err(status) => End::Failed(status),
        };
    }
}

impl<T> Stream for Items<T> {
    type Item = Result<T, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self {
            messages,
            state,
            weigh,
        } = self.get_mut();
        let mut state = lock(state);
        loop {
            return match messages.poll_recv(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Some(_)) if state.is_stopped => continue,
                Poll::Ready(Some(message)) => {
                    state.taken += weigh(&message);
                    Poll::Ready(Some(Ok(message)))
                }
                Poll::Ready(None) => match mem::replace(&mut state.end, End::Well) {
                    End::Well => Poll::Ready(None),
                    End::Failed(status) => Poll::Ready(Some(Err(status))),
                    // a stream that just stops would look whole
                    End::Open => Poll::Ready(Some(Err(Status::internal("the stream broke off")))),
                },
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, StreamExt as _};
    use tonic::Code;

    use super::*;

    async fn send(sender: &Sender<u8>, messages: impl IntoIterator<Item = u8>) {
        for message in messages {
            sender.room().await.unwrap().send(message);
        }
    }

    async fn rest(items: Items<u8>) -> Vec<Result<u8, Code>> {
        let code = |it: Status| it.code();
        items.map(|it| it.map_err(code)).collect().await
    }

    #[tokio::test]
    async fn it_ends_as_it_is_told_after_all_that_was_sent() {
        let (sender, items) = channel(3, |_| 1);
        send(&sender, [1, 2]).await;
        sender.end(Ok(()));
        assert_eq!(rest(items).await, [Ok(1), Ok(2)]);

        let (sender, items) = channel(3, |_| 1);
        send(&sender, [1]).await;
        sender.end(Err(Status::aborted("")));
        assert_eq!(rest(items).await, [Ok(1), Err(Code::Aborted)]);

        let (sender, items) = channel(3, |_| 1);
        send(&sender, [1]).await;
        drop(sender);
        assert_eq!(rest(items).await, [Ok(1), Err(Code::Internal)]);
    }

    #[tokio::test]
    async fn what_was_not_taken_is_taken_back() {
        let (sender, mut items) = channel(3, |_| 1);
        send(&sender, [1, 2, 3]).await;
        assert_eq!(items.next().await.unwrap().unwrap(), 1);
        sender.stop();
        assert_eq!(sender.taken(), 1);
        // how it ends is still to be said
        assert!(items.next().now_or_never().is_none());
        sender.end(Err(Status::aborted("")));
        assert_eq!(rest(items).await, [Err(Code::Aborted)]);
    }
}
