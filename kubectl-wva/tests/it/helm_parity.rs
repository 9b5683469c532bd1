//! What `add-model` renders equals what `helm template` renders of the same values, object by object.

use std::path::PathBuf;
use std::process::Command;

use kubectl_wva::commands::add_model::{AddModelArgs, Controllers, Facts, plan};
use kubectl_wva::writers::install;
use serde_json::{Map, Value, json};

use crate::objects::{controller, deployment, deployments};

/// A small generator of numbers, the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // Knuth's constants; the high bits are the random ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[usize::try_from(self.roll(from.len() as u64)).unwrap()]
    }

    fn heads(&mut self) -> bool {
        self.roll(2) == 0
    }
}

fn args(dice: &mut Dice, name: &str) -> AddModelArgs {
    let min = u32::try_from(dice.roll(3)).unwrap();
    AddModelArgs {
        name: name.to_owned(),
        model_id: Some(
            dice.pick(&["meta-llama/Llama-3.1-8B", "unsloth/x", "yes", "1e3", "it's \"quoted\""]).to_owned(),
        ),
        accelerator: dice.heads().then(|| dice.pick(&["A100", "H100", "NVIDIA H100 80GB", ""]).to_owned()),
        cost: dice.heads().then(|| dice.pick(&["40", "12.5", "0", "007.50"]).to_owned()),
        min: dice.heads().then_some(min),
        max: dice.heads().then(|| min + 1 + u32::try_from(dice.roll(9)).unwrap()),
        ..AddModelArgs::default()
    }
}

fn given(dice: &mut Dice) -> Map<String, Value> {
    let values = json!({
        "vllmService": {
            "enabled": dice.heads(), "interval": dice.pick(&["1s", "15s", "2m"]),
            "type": dice.pick(&["ClusterIP", "NodePort", "LoadBalancer"]),
            "scheme": dice.pick(&["http", "https"]),
            "serviceMonitor": {"labels": {"release": dice.pick(&["prometheus", "on", "1"])}},
        },
        "hpa": {"enabled": dice.heads(), "targetAverageValue": dice.pick(&["1", "2", "500m"])},
        "wva": {
            "rbac": {"userRoles": {"admin": dice.heads(), "aggregate": dice.heads()}},
            "openshift": {"enabled": dice.heads()},
        },
        "nameOverride": dice.pick(&["", "wva", "a-very-long-name-that-has-to-be-cut-somewhere-because-labels-are-short"]),
    });
    values.as_object().unwrap().clone()
}

fn helm() -> PathBuf {
    std::env::var_os("HELM").map_or_else(|| "helm".into(), PathBuf::from)
}

/// The objects of `helm template`.
fn of_helm(release: &str, namespace: &str, values: &Map<String, Value>) -> Vec<Value> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("values.json");
    std::fs::write(&file, serde_json::to_string(values).unwrap()).unwrap();
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/workload-variant-autoscaler");
    let output = Command::new(helm())
        .args(["template", release, chart, "--no-hooks", "-n", namespace, "-f"])
        .arg(&file)
        .output()
        .expect("helm runs: eval \"$(hack/tools.sh env)\"");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.split("\n---\n")
        .filter_map(|document| serde_saphyr::from_str(document).ok())
        .filter(Value::is_object)
        .collect()
}

#[test]
fn fifty_random_models_are_what_helm_would_install() {
    let mut dice = Dice(20_260_102);
    for round in 0..50 {
        let name = format!("model-{round}");
        let instance = dice.pick(&["", "team-a", "Team_B"]);
        let facts = Facts {
            namespace: "models".to_owned(),
            annotations: None,
            deployments: deployments(&[deployment("models", &name, 1)]),
            variants: Vec::new(),
            controllers: Controllers::Known(vec![controller("wva", instance, &[])]),
        };
        let (args, given) = (args(&mut dice, &name), given(&mut dice));
        let plan = plan(&args, &given, &facts).unwrap_or_else(|refusal| panic!("{refusal}: {args:?}"));
        let rendered = install::render(&plan.release, &plan.namespace, plan.values.clone()).unwrap();
        let ours: Vec<Value> = rendered.manifests.into_iter().map(|manifest| manifest.object).collect();
        let theirs = of_helm(&plan.release, &plan.namespace, &plan.values);
        assert_eq!(ours, theirs, "round {round}: {:#}", Value::Object(plan.values));
    }
}
