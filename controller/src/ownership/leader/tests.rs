use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Json, Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use kube::Client;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::*;
use crate::config;
use crate::fixtures::eventually;

/// An API server that stores one Lease and refuses a write over a version that is no longer the stored one.
#[derive(Clone, Default)]
struct LeaseStore {
    lease: Arc<Mutex<Option<Value>>>,
    down: Arc<AtomicBool>,
}

impl LeaseStore {
    fn client(&self) -> Client {
        Client::new(Router::new().fallback(serve).with_state(self.clone()), "default")
    }

    fn holder(&self) -> String {
        let lease = self.lease.lock().unwrap();
        lease.as_ref().map_or_else(String::new, |l| l["spec"]["holderIdentity"].as_str().unwrap().to_owned())
    }
}

async fn serve(State(store): State<LeaseStore>, request: Request) -> Response {
    if store.down.load(Ordering::SeqCst) {
        return refusal(500);
    }
    let method = request.method().clone();
    // The list and watch of a standby: not served, so that only its own turns count.
    if request.uri().query().is_some_and(|query| query.contains("fieldSelector")) {
        return refusal(404);
    }
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
    let mut lease = store.lease.lock().unwrap();
    if method == Method::GET {
        return lease.clone().map_or_else(|| refusal(404), |lease| Json(lease).into_response());
    }
    let mut sent: Value = serde_json::from_slice(&body).unwrap();
    let version = |lease: &Value| lease["metadata"]["resourceVersion"].as_str().map(str::to_owned);
    let stored = lease.as_ref().and_then(version);
    if stored != version(&sent) {
        return refusal(409);
    }
    let next = stored.map_or(1, |version| version.parse::<u64>().unwrap() + 1);
    sent["metadata"]["resourceVersion"] = json!(next.to_string());
    *lease = Some(sent.clone());
    Json(sent).into_response()
}

fn refusal(code: u16) -> Response {
    let reason = match code {
        404 => "NotFound",
        409 => "Conflict",
        _ => "InternalError",
    };
    let status = json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason});
    (StatusCode::from_u16(code).unwrap(), Json(status)).into_response()
}

struct Candidate {
    leadership: Leadership,
    stop: CancellationToken,
    ended: JoinHandle<()>,
}

fn candidate(store: &LeaseStore, identity: &str) -> Candidate {
    let election = config::Election {
        lease_name: "lease".to_owned(),
        lease_duration: Duration::from_secs(1),
        renew_deadline: Duration::from_millis(600),
        retry_period: Duration::from_millis(50),
    };
    let lease = LeaseApi::new(store.client(), "ns", "lease", "wva-controller".to_owned());
    let (leadership, election) = Election::new(Elector::new(identity.to_owned(), &election), lease, Arc::default());
    let stop = CancellationToken::new();
    let ended = tokio::spawn(election.run(stop.child_token()));
    Candidate { leadership, stop, ended }
}

#[tokio::test]
async fn of_several_candidates_one_leads_and_hands_over_when_it_stops() {
    let store = LeaseStore::default();
    let candidates: Vec<Candidate> = ["a", "b", "c"].map(|identity| candidate(&store, identity)).into();
    let leaders = || candidates.iter().filter(|candidate| candidate.leadership.holds()).count();
    eventually("a leader", || leaders() == 1).await;
    let first = store.holder();
    let leader = candidates.iter().find(|candidate| candidate.leadership.holds()).unwrap();
    leader.stop.cancel();
    let stopped = Instant::now();
    let mut most = 0;
    eventually("another leader", || {
        most = most.max(leaders());
        leaders() == 1 && !leader.leadership.holds() && store.holder() != first
    })
    .await;
    assert!(stopped.elapsed() < Duration::from_secs(1), "{:?}", stopped.elapsed());
    assert_eq!(most, 1, "never two at a time");
}

#[tokio::test]
async fn a_leader_that_cannot_renew_stops_writing_in_time_and_leads_again_when_it_can() {
    let store = LeaseStore::default();
    let Candidate { mut leadership, stop: _stop, ended } = candidate(&store, "a");
    eventually("a leader", || leadership.holds()).await;
    store.down.store(true, Ordering::SeqCst);
    let down = Instant::now();
    leadership.lost().await;
    assert!(!leadership.holds());
    assert!(down.elapsed() < Duration::from_secs(1), "before the lease can pass to another: {:?}", down.elapsed());
    assert!(!ended.is_finished(), "it stands by");
    store.down.store(false, Ordering::SeqCst);
    leadership.acquired().await;
    assert!(leadership.holds());
}

#[tokio::test]
async fn a_leader_whose_lease_was_taken_stops_writing_and_stands_by() {
    let store = LeaseStore::default();
    let Candidate { mut leadership, stop: _stop, ended } = candidate(&store, "a");
    eventually("a leader", || leadership.holds()).await;
    {
        let mut lease = store.lease.lock().unwrap();
        let lease = lease.as_mut().unwrap();
        lease["spec"]["holderIdentity"] = json!("intruder");
        lease["spec"]["leaseDurationSeconds"] = json!(3600);
        lease["metadata"]["resourceVersion"] = json!("100");
    }
    leadership.lost().await;
    assert!(!leadership.holds() && !ended.is_finished());
    assert_eq!(store.holder(), "intruder");
}

#[tokio::test]
async fn a_write_ends_with_the_claim_and_a_late_one_never_begins() {
    let (claim, channel) = watch::channel(Claim::Until(Instant::now() + Duration::from_millis(50)));
    let leadership = Leadership(channel);
    let begun = Instant::now();
    let endless = leadership.write(Duration::from_mins(1), std::future::pending::<()>());
    assert_eq!(endless.await, Err(NotWritten::NotLeading));
    assert!(begun.elapsed() < Duration::from_secs(5));
    let polled = AtomicBool::new(false);
    let late = leadership.write(Duration::from_mins(1), async { polled.store(true, Ordering::SeqCst) });
    assert_eq!(late.await, Err(NotWritten::NotLeading));
    assert!(!polled.load(Ordering::SeqCst), "no step of it is taken");
    claim.send_replace(Claim::Always);
    let slow = leadership.write(Duration::from_millis(10), std::future::pending::<()>());
    assert_eq!(slow.await, Err(NotWritten::TimedOut));
    assert_eq!(leadership.write(Duration::from_mins(1), async { 7 }).await, Ok(7));
}

/// What a process does that was paused between two steps of a write: when it goes on, its claim has ended.
#[tokio::test]
async fn a_write_that_was_begun_in_time_takes_no_step_after_the_claim_has_ended() {
    let (_claim, channel) = watch::channel(Claim::Until(Instant::now() + Duration::from_millis(50)));
    let leadership = Leadership(channel);
    let steps = std::sync::atomic::AtomicUsize::new(0);
    let write = leadership.write(Duration::from_mins(1), async {
        loop {
            steps.fetch_add(1, Ordering::SeqCst);
            // Blocks the thread past the end of the claim, as a pause of the process does.
            std::thread::sleep(Duration::from_millis(100));
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(write.await, Err::<(), _>(NotWritten::NotLeading));
    assert_eq!(steps.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_api_server_that_comes_late_only_delays_the_election() {
    let store = LeaseStore::default();
    store.down.store(true, Ordering::SeqCst);
    let Candidate { leadership, stop: _stop, ended } = candidate(&store, "a");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!leadership.holds() && !ended.is_finished());
    store.down.store(false, Ordering::SeqCst);
    eventually("a leader", || leadership.holds()).await;
}
