//! Replicas of variants over time as Prometheus recorded them: for the time before what a controller keeps.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::api::ListParams;
use serde::Deserialize;
use wva_api::{config_keys, metrics};

use super::controllers::{Controller, Stated};
use super::{lists, prometheus};
use crate::session::Session;

/// Points of a range at most; Prometheus itself refuses more than 11,000.
const POINTS: i64 = 720;
/// Closest distance of two points: what is usually scraped.
const CLOSEST: SignedDuration = SignedDuration::from_secs(15);

/// What Prometheus recorded of some variants.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The Service that was asked, `namespace/name`.
    pub service: String,
    /// Distance of two points.
    pub step: SignedDuration,
    series: BTreeMap<(String, String), Vec<Point>>,
}

/// Longest time between two replies for which the number before still counts.
const PATCHED: i32 = 2;

/// Replicas of a variant at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The moment.
    pub at: Timestamp,
    /// Replicas there, as the controller published them.
    pub current: Option<u32>,
    /// Replicas decided.
    pub desired: Option<u32>,
}

/// Which variants, and when.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Namespace; `None` is all.
    pub namespace: Option<&'a str>,
    /// Name of the variant; `None` is all.
    pub name: Option<&'a str>,
    /// Begin.
    pub from: Timestamp,
    /// End.
    pub to: Timestamp,
}

impl Recorded {
    /// The points of a variant, oldest first.
    pub fn of(&self, namespace: &str, name: &str) -> &[Point] {
        self.series.get(&(namespace.to_owned(), name.to_owned())).map(Vec::as_slice).unwrap_or_default()
    }

    /// For how long each point of a variant counts before `end`: until the next, or for a step where none follows soon.
    pub fn spans(&self, namespace: &str, name: &str, end: Timestamp) -> Vec<(Point, Timestamp)> {
        let points: Vec<Point> = self.of(namespace, name).iter().copied().filter(|point| point.at < end).collect();
        let nexts = points.iter().skip(1).map(|next| next.at).chain([end]);
        let until = |(point, next): (&Point, Timestamp)| {
            let follows = next.duration_since(point.at) <= self.step * PATCHED;
            (*point, if follows { next } else { point.at + self.step })
        };
        points.iter().zip(nexts).map(until).collect()
    }

    /// Reads the answer of `/api/v1/query_range`.
    ///
    /// # Errors
    /// When it is something else, or says that it failed.
    pub fn parse(service: &str, step: SignedDuration, text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Answer {
            error: Option<String>,
            data: Option<Data>,
        }
        #[derive(Deserialize)]
        struct Data {
            result: Vec<Series>,
        }
        #[derive(Deserialize)]
        struct Series {
            metric: BTreeMap<String, String>,
            values: Vec<(f64, String)>,
        }
        let answer: Answer = serde_json::from_str(text)
            .map_err(|error| format!("Prometheus {service} did not answer as such: {error}"))?;
        let Some(data) = answer.data else {
            return Err(format!("Prometheus {service} refused: {}", answer.error.unwrap_or_default()));
        };
        let mut found: BTreeMap<(String, String), BTreeMap<Timestamp, Point>> = BTreeMap::new();
        for Series { metric, values } in data.result {
            let label = |name: &str| metric.get(name).cloned().unwrap_or_default();
            let points = found.entry((label("exported_namespace"), label("variant_name"))).or_default();
            let is_desired = label("__name__") == metrics::DESIRED_REPLICAS;
            for (at, value) in values {
                let Some((at, value)) = at_second(at).zip(count(&value)) else { continue };
                let point = points.entry(at).or_insert(Point { at, current: None, desired: None });
                *(if is_desired { &mut point.desired } else { &mut point.current }) = Some(value);
            }
        }
        let series = found.into_iter().map(|(key, points)| (key, points.into_values().collect())).collect();
        Ok(Self { service: service.to_owned(), step, series })
    }
}

/// Asks each Prometheus that these controllers ask, once, through the API server; and why one could not be asked: no
/// Prometheus in the cluster, no right, no answer.
pub async fn fetch(
    session: &Session,
    controllers: impl IntoIterator<Item = &Controller>,
    question: Question<'_>,
) -> (Vec<Recorded>, BTreeSet<String>) {
    let (mut places, mut recorded, mut failed) = (BTreeSet::new(), Vec::new(), BTreeSet::new());
    for controller in controllers {
        match place(session, controller).await {
            Ok(place) => {
                places.insert(place);
            }
            Err(why) => {
                failed.insert(why);
            }
        }
    }
    for place in places {
        match ask(session, &place, question).await {
            Ok(found) => recorded.push(found),
            Err(why) => {
                failed.insert(why);
            }
        }
    }
    (recorded, failed)
}

async fn ask(session: &Session, place: &Place, question: Question<'_>) -> Result<Recorded, String> {
    let step = step(question);
    let url = format!(
        "/api/v1/namespaces/{}/services/{}:{}:{}/proxy/api/v1/query_range?query={}&start={}&end={}&step={}",
        place.namespace,
        place.scheme,
        place.name,
        place.port,
        escaped(&query(question)),
        question.from.as_second(),
        question.to.as_second(),
        step.as_secs(),
    );
    let service = format!("{}/{}", place.namespace, place.name);
    let answer = session.get(format!("ask Prometheus {service} for earlier replicas"), &url).await;
    Recorded::parse(&service, step, &answer.map_err(|error| error.to_string())?)
}

fn step(question: Question<'_>) -> SignedDuration {
    let seconds = question.to.duration_since(question.from).as_secs();
    SignedDuration::from_secs(seconds / POINTS).max(CLOSEST)
}

/// Both numbers of the variants, whichever controller published them.
fn query(question: Question<'_>) -> String {
    let label =
        |name: &str, value: Option<&str>| value.map_or_else(String::new, |value| format!(",{name}=\"{value}\""));
    format!(
        "max by (__name__, exported_namespace, variant_name) ({{__name__=~\"{}|{}\"{}{}}})",
        metrics::DESIRED_REPLICAS,
        metrics::CURRENT_REPLICAS,
        label("exported_namespace", question.namespace),
        label("variant_name", question.name),
    )
}

/// A text in a query of a URL.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => escaped.push(char::from(byte)),
            _ => {
                let _infallible = write!(escaped, "%{byte:02X}");
            }
        }
        escaped
    })
}

fn at_second(at: f64) -> Option<Timestamp> {
    #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970")]
    Timestamp::from_second(at.round() as i64).ok()
}

fn count(value: &str) -> Option<u32> {
    let value: f64 = value.parse().ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a million")]
    (0.0..=1e6).contains(&value).then(|| value.round() as u32)
}

/// A Service that answers as Prometheus does.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    scheme: String,
    namespace: String,
    name: String,
    port: u16,
}

impl Place {
    fn of(url: &str) -> Option<Self> {
        let scheme = url.split_once("://")?.0.to_owned();
        let (namespace, name, port) = prometheus::service(url)?;
        let port = port.unwrap_or(if scheme == "https" { 443 } else { 80 });
        Some(Self { scheme, namespace, name, port })
    }
}

/// Where the controller asks, when that is a Service of the cluster; else the likeliest one.
async fn place(session: &Session, controller: &Controller) -> Result<Place, String> {
    let key = config_keys::PROMETHEUS_BASE_URL;
    let of_map = |name: String, key: String| async move {
        let map: Option<ConfigMap> = lists::get(session, &controller.namespace, &name).await.ok()?;
        map?.data?.remove(&key)
    };
    let stated = match controller.stated(key) {
        Some(Stated::Value(url)) => Some(url),
        Some(Stated::ConfigMap { name, key, .. }) => of_map(name, key).await,
        None => of_map(controller.main_config_map(), key.to_owned()).await,
    };
    if let Some(place) = stated.as_deref().and_then(Place::of) {
        return Ok(place);
    }
    let services: Vec<Service> =
        lists::list(session, None, "list Services to find Prometheus", &ListParams::default()).await?;
    let known = prometheus::addresses(services.iter());
    known.iter().find_map(|url| Place::of(url)).ok_or_else(|| "no Service of the cluster is a Prometheus".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"{"status": "success", "data": {"resultType": "matrix", "result": [
        {"metric": {"__name__": "wva_desired_replicas", "exported_namespace": "m", "variant_name": "a"},
         "values": [[100, "1"], [115, "3"]]},
        {"metric": {"__name__": "wva_current_replicas", "exported_namespace": "m", "variant_name": "a"},
         "values": [[100, "1"], [115.000, "1"], [130, "NaN"]]}
    ]}}"#;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn both_numbers_of_a_moment_are_one_point() {
        let recorded = Recorded::parse("mon/prometheus", CLOSEST, ANSWER).unwrap();
        let points = [(100, 1, 1), (115, 3, 1)].map(|(second, desired, current)| Point {
            at: at(second),
            desired: Some(desired),
            current: Some(current),
        });
        assert_eq!(recorded.of("m", "a"), points);
        assert_eq!(recorded.of("m", "b"), []);
    }

    #[test]
    fn a_number_counts_until_the_next_and_not_through_a_gap() {
        let values = r#"[[100, "1"], [115, "2"], [300, "3"]]"#;
        let answer = format!(
            r#"{{"data": {{"result": [{{"metric": {{"__name__": "wva_current_replicas", "exported_namespace": "m", "variant_name": "a"}}, "values": {values}}}]}}}}"#
        );
        let recorded = Recorded::parse("mon/prometheus", CLOSEST, &answer).unwrap();
        let spans = recorded.spans("m", "a", at(310));
        let seconds: Vec<(i64, i64)> =
            spans.iter().map(|(point, end)| (point.at.as_second(), end.as_second())).collect();
        assert_eq!(seconds, [(100, 115), (115, 130), (300, 310)]);
        assert_eq!(recorded.spans("m", "a", at(110)).len(), 1, "what is known otherwise counts once");
    }

    #[test]
    fn a_refusal_is_said() {
        let refused = r#"{"status": "error", "errorType": "bad_data", "error": "too many points"}"#;
        let why = Recorded::parse("mon/prometheus", CLOSEST, refused).unwrap_err();
        assert_eq!(why, "Prometheus mon/prometheus refused: too many points");
        assert!(Recorded::parse("mon/prometheus", CLOSEST, "<html>").unwrap_err().contains("did not answer as such"));
    }

    #[test]
    fn a_question_has_a_bounded_number_of_points_and_names_what_is_asked_for() {
        let question = Question { namespace: Some("m"), name: None, from: at(0), to: at(86_400) };
        assert_eq!(step(question).as_secs(), 120);
        assert_eq!(step(Question { to: at(60), ..question }), CLOSEST);
        let asked = query(question);
        assert!(
            asked.ends_with(r#"({__name__=~"wva_desired_replicas|wva_current_replicas",exported_namespace="m"})"#),
            "{asked}"
        );
        assert_eq!(escaped("a{b=\"c\"}"), "a%7Bb%3D%22c%22%7D");
    }
}
