//! Answers that are errors: in plain text, or as any JSON.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// An error.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Text(String),
    Json(Value),
}

impl Refusal {
    /// An error in plain text.
    pub(super) fn text(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            body: Body::Text(message.into()),
        }
    }

    /// 400 in plain text.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::text(StatusCode::BAD_REQUEST, message)
    }

    /// 400 for a member of a body, in JSON.
    pub(super) fn member(name: &str, message: &str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            body: Body::Json(json!([{ "path": [name], "message": message }])),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self.body {
            Body::Text(message) => (self.status, message).into_response(),
            Body::Json(value) => (self.status, Json(value)).into_response(),
        }
    }
}
