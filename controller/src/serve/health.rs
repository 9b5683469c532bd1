//! `/healthz` and `/readyz`, and beside them what `debug.rs` answers.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use super::debug;
use crate::shared::Shared;

/// Answers until the process ends.
pub async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let router = router(shared).into_make_service_with_connect_info::<SocketAddr>();
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "Probes are no longer answered");
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new().route("/healthz", get(healthy)).route("/readyz", get(ready)).merge(debug::router()).with_state(shared)
}

/// Alive is who decides in time. A watch that fails does not make it unhealthy, because a restart would not fix it and
/// would lose what is known; it is told.
async fn healthy(State(shared): State<Arc<Shared>>) -> Response {
    let (late, troubles) = (shared.pulse.late(), shared.troubles.all());
    let status = if late.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let mut text = late.map_or_else(|| "ok".to_owned(), |late| format!("late: {late}"));
    for trouble in troubles {
        let _infallible = write!(text, "\n- {trouble}");
    }
    (status, text).into_response()
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let waits_for: Vec<String> = shared.lists.waits_for().into_iter().chain(shared.answers.waits_for()).collect();
    if waits_for.is_empty() {
        return "ok".into_response();
    }
    let mut text = "not ready, waiting for:\n".to_owned();
    for what in waits_for {
        let _infallible = writeln!(text, "- {what}");
    }
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::index::Unreadable;

    async fn started(shared: &Arc<Shared>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, Arc::clone(shared)));
        format!("http://{address}")
    }

    async fn get(url: String) -> (u16, String) {
        crate::install_crypto();
        let answer = reqwest::get(url).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    #[tokio::test]
    async fn alive_from_the_start_and_ready_when_nothing_is_waited_for() {
        let shared = Arc::new(Shared::default());
        let (list, prometheus) = (shared.lists.gate("list of pods"), shared.answers.gate("first answer of Prometheus"));
        let url = started(&shared).await;
        assert_eq!(get(format!("{url}/healthz")).await, (200, "ok".to_owned()));
        let expect = "not ready, waiting for:\n- list of pods\n- first answer of Prometheus\n";
        assert_eq!(get(format!("{url}/readyz")).await, (503, expect.to_owned()));
        list.open();
        prometheus.open();
        assert_eq!(get(format!("{url}/readyz")).await.0, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stuck_cycle_is_unhealthy_and_a_failing_watch_is_told() {
        let shared = Arc::new(Shared::default());
        shared.troubles.fails("watch pods", "connection refused");
        shared.pulse.beat(std::time::Duration::from_secs(1));
        let healthz = async || {
            let answer = healthy(State(Arc::clone(&shared))).await;
            let status = answer.status().as_u16();
            let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
            (status, String::from_utf8(body.to_vec()).unwrap())
        };
        let expect = "ok\n- cannot watch pods since 0 s (1 times): connection refused";
        assert_eq!(healthz().await, (200, expect.to_owned()));
        tokio::time::advance(std::time::Duration::from_secs(14)).await;
        let (status, text) = healthz().await;
        assert_eq!(status, 503);
        assert!(text.starts_with("late: the decision cycle: none has ended for 14s"), "{text}");
    }

    #[tokio::test]
    async fn the_history_is_that_of_the_variant_that_is_asked_for() {
        let shared = Arc::new(Shared::default());
        let target = |name: &str| wva_engine::Target {
            variant: wva_engine::VariantKey { namespace: "ns".to_owned(), name: name.to_owned() },
            model_id: "m".to_owned(),
            accelerator: "A100".to_owned(),
            current: 1,
            replicas: 2,
            reason: wva_engine::Reason::Steady,
            notes: Vec::new(),
            evidence: wva_engine::plan::Evidence::Complete,
        };
        let nothing = wva_engine::Snapshot::default();
        shared.history().note(&[target("a"), target("b")], &nothing, jiff::Timestamp::UNIX_EPOCH);
        let url = started(&shared).await;
        let asked = async |query: &str| {
            let (status, body) = get(format!("{url}/debug/history{query}")).await;
            assert_eq!(status, 200, "{body}");
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            body["history"].as_array().unwrap().iter().map(|pair| pair[0]["name"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(asked("").await, ["a", "b"]);
        assert_eq!(asked("?namespace=ns&name=b").await, ["b"]);
        assert_eq!(asked("?namespace=other").await, [""; 0]);
    }

    #[tokio::test]
    async fn the_state_names_objects_that_could_not_be_read() {
        let shared = Arc::new(Shared::default());
        let key = crate::cluster::index::ObjectKey::new("ns", "broken");
        shared.index().unreadable.insert(
            ("variantautoscalings", key),
            Unreadable { why: "missing field `name`".to_owned(), ..Unreadable::default() },
        );
        let (status, body) = get(format!("{}/debug/state", started(&shared).await)).await;
        assert_eq!(status, 200);
        assert!(body.contains("broken") && body.contains("missing field"), "{body}");
    }
}
