//! The plain HTTP port: metrics for Prometheus, and probes.

use axum::{Router, extract::State, http::header::CONTENT_TYPE, response::IntoResponse, routing};
use http::StatusCode;

use super::Readiness;
use crate::telemetry::Metrics;

/// The routes: `/metrics`, `/healthz` (the process runs) and `/readyz` (it
/// serves).
pub(super) fn router(metrics: Metrics, readiness: Readiness) -> Router {
    Router::new()
        .route("/metrics", routing::get(render).with_state(metrics))
        .route("/healthz", routing::get(|| async { "ok\n" }))
        .route("/readyz", routing::get(ready).with_state(readiness))
}

async fn render(State(metrics): State<Metrics>) -> impl IntoResponse {
    const FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, FORMAT)], metrics.render())
}

async fn ready(State(readiness): State<Readiness>) -> impl IntoResponse {
    match readiness.reason() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(reason) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {reason}\n"),
        ),
    }
}
