//! A model in good order, to be harmed and healed: what the tests of `kubectl wva doctor` share.

use std::time::{Duration, Instant};

use serde_json::Value;
use wva_e2e::environment::Environment;
use wva_e2e::instance::{Controller, Model};
use wva_e2e::wait::{self, Look};
use wva_e2e::workload::{A100, Vllm};

pub(crate) const MODEL_ID: &str = "meta-llama/Llama-3.1-8B";
/// Release of the controller; what its objects are called follows from it.
pub(crate) const RELEASE: &str = "workload-variant-autoscaler";
const DEPLOYMENT: &str = "workload-variant-autoscaler-controller-manager";
/// The longest way: a scrape ends, its series run out of the look-back, a decision, an HPA sync.
const PATIENCE: Duration = Duration::from_secs(90);
/// How many times longer than alone a look may take beside the suites that run at once. How long it took is printed.
const CROWDED: u32 = 4;

/// Namespace for a second controller of an instance.
pub(crate) fn twin(system: &str) -> String {
    format!("{system}-twin")
}

/// A healthy controller of an instance, and a model in a namespace that is there.
pub(crate) struct Clinic<'a> {
    pub(crate) environment: &'a Environment,
    pub(crate) controller: Controller,
    models: String,
}

impl<'a> Clinic<'a> {
    pub(crate) async fn open(environment: &'a Environment, controller: Controller, models: &str) -> Self {
        let kubectl = environment.kubectl();
        controller.install(kubectl).await.unwrap();
        let server = Vllm::new(models, "llama", MODEL_ID, A100);
        kubectl.apply(&server.manifest().unwrap()).await.unwrap();
        let instance = &controller.instance;
        let model = Model { release: "llama", server: &server, accelerator: "A100", cost: "40", max: 3, instance };
        model.add(kubectl).await.unwrap();
        let clinic = Self { environment, controller, models: models.to_owned() };
        // From the first second on nothing is found.
        clinic.healthy().await;
        clinic
    }

    /// How long to wait for doctor in this cluster.
    pub(crate) fn patience(&self) -> Duration {
        self.environment.facts().patience(PATIENCE)
    }

    /// A line with the names of this clinic: `@va`, `@controller`, its ConfigMap `@config`, the namespaces `@system`,
    /// `@models` and `@twin`, and `@id`.
    pub(crate) fn named(&self, line: &str) -> String {
        let Controller { release, namespace, instance, .. } = &self.controller;
        let (twin, config) = (twin(namespace), format!("{release}-variantautoscaling-config"));
        let names = [
            ("@va", "llama-va"),
            ("@controller", DEPLOYMENT),
            ("@config", &config),
            ("@system", namespace),
            ("@twin", &twin),
            ("@models", &self.models),
            ("@id", instance),
        ];
        names.into_iter().fold(line.to_owned(), |line, (mark, name)| line.replace(mark, name))
    }

    /// Runs a line in a shell.
    pub(crate) async fn run(&self, line: &str) -> String {
        self.environment.kubectl().shell(&self.named(line)).await.unwrap()
    }

    /// Waits until doctor finds exactly this in a namespace, and gives its findings.
    pub(crate) async fn finds_in(&self, namespace: &str, causes: &[&str]) -> Value {
        let kubectl = self.environment.kubectl();
        wait::until(&format!("doctor to find {causes:?} in {namespace}"), self.patience(), || async {
            let answer = kubectl.answer(&["doctor", "-n", namespace, "-o", "json"]).await.unwrap();
            let Ok(view) = serde_json::from_str::<Value>(&answer.out) else {
                return Look::NotYet(format!("{answer:?}"));
            };
            let found: Vec<&str> =
                view["findings"].as_array().unwrap().iter().map(|one| one["cause"].as_str().unwrap()).collect();
            let unknown = view["checks"].as_array().unwrap().iter().any(|check| check["outcome"] == "unknown");
            let problem = found.iter().any(|cause| !["CostsEqual", "SeriesPerPod"].contains(cause));
            if found == causes && !unknown && answer.code == Some(i32::from(problem)) {
                Look::Done(view["findings"].clone())
            } else {
                Look::NotYet(answer.out)
            }
        })
        .await
        .unwrap()
    }

    /// Waits until nothing is wrong or on its way. At no look is anything found that is not among `known`.
    pub(crate) async fn settled(&self, known: &[&str]) {
        self.look(known, &[], PATIENCE, false).await;
    }

    /// Waits until doctor finds exactly `causes` (and unless `on_its_way` nothing is starting), and gives the findings and
    /// how long it took. At no look is anything found that is not among `known`.
    pub(crate) async fn look(
        &self,
        known: &[&str],
        causes: &[&str],
        within: Duration,
        on_its_way: bool,
    ) -> (Value, Duration) {
        let kubectl = self.environment.kubectl();
        let within = self.environment.facts().patience(within) * CROWDED;
        let what = format!("doctor to find {causes:?}");
        let begun = Instant::now();
        let findings = wait::until(&what, within, || async {
            let answer = kubectl.answer(&["doctor", "-n", &self.models, "-o", "json"]).await.unwrap();
            let view: Value = serde_json::from_str(&answer.out).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
            let list = |part: &str| view[part].as_array().cloned().unwrap_or_default();
            let mut found: Vec<String> =
                list("findings").iter().map(|one| one["cause"].as_str().unwrap().to_owned()).collect();
            found.sort_unstable();
            let odd: Vec<&Value> = view["findings"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|one| !known.contains(&one["cause"].as_str().unwrap()))
                .collect();
            assert!(odd.is_empty(), "beside {known:?} it says {odd:#?}");
            let unknown = list("checks").iter().any(|check| check["outcome"] == "unknown");
            let settled = on_its_way || list("starting").is_empty();
            if found == causes && !unknown && settled {
                Look::Done(view["findings"].clone())
            } else {
                Look::NotYet(format!("found {found:?}, starting {:?}, unknown: {unknown}", list("starting")))
            }
        });
        let findings = findings.await.unwrap();
        (findings, begun.elapsed())
    }

    /// A command in which the Service of Prometheus is called by an address that pods reach: no name server runs here.
    pub(crate) fn reachable(&self, command: &str) -> String {
        let start = "http://prometheus.monitoring.svc:";
        let Some((before, rest)) = command.split_once(start) else { return command.to_owned() };
        let rest = rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
        format!("{before}{}{rest}", self.environment.prometheus().url())
    }

    pub(crate) async fn finds(&self, cause: &str) -> Value {
        let findings = self.finds_in(&self.models, &[cause]).await;
        assert_eq!(findings.as_array().unwrap().len(), 1, "{findings:#}");
        let given = |part: &str| findings[0][part].as_array().is_some_and(|lines| !lines.is_empty());
        assert!(findings[0]["finding"].is_string() && given("evidence"), "{findings:#}");
        assert!(given("fix") || given("look"), "{findings:#}");
        findings[0].clone()
    }

    /// Waits until nothing is wrong or on its way; until then nothing may be found.
    pub(crate) async fn healthy(&self) {
        self.settled(&[]).await;
    }

    /// Does harm, sees it named, does what doctor says, and sees it gone.
    pub(crate) async fn case(&self, cause: &str, harm: &str) -> Value {
        self.run(harm).await;
        let finding = self.finds(cause).await;
        self.fix(&finding, 0).await;
        self.mended(cause).await;
        finding
    }

    /// Waits until nothing is left of a cause.
    pub(crate) async fn mended(&self, cause: &str) {
        self.settled(&[cause]).await;
    }

    pub(crate) async fn fix(&self, finding: &Value, way: usize) {
        let command = &self.reachable(finding["fix"][way].as_str().unwrap());
        if let Err(error) = self.environment.kubectl().shell(command).await {
            panic!("{command}\n{error}\n{finding:#}");
        }
    }
}
