//! Who owns which key: a thread that only reads.
//!
//! A question asked after a record was acknowledged sees what the record says.
//! Questions don't wait for the thread that writes.

use std::collections::HashMap;

use tokio::sync::{mpsc, oneshot};

use super::{Error, Owner, store::View};

/// A question about keys of one type at one upstream.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) upstream: String,
    pub(super) resource_type: String,
    pub(super) ids: Vec<String>,
    pub(super) answer: oneshot::Sender<Result<HashMap<String, Owner>, Error>>,
}

/// Answers until nobody can ask any more.
pub(super) fn run(view: &dyn View, mut questions: mpsc::Receiver<Question>) {
    while let Some(it) = questions.blocking_recv() {
        let owners = view.owners(&it.upstream, &it.resource_type, &it.ids);
        // Whoever asked may have gone.
        drop(it.answer.send(owners));
    }
}
