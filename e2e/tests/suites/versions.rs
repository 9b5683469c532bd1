//! Two versions of the controller, this one and the next, which is the same code in a chart with another number: one after
//! the other in a release, and side by side in a cluster, as canary and as blue and green.

use std::pin::pin;
use std::time::Duration;

use wva_e2e::helm::Helm;
use wva_e2e::instance::Controller;
use wva_e2e::instances::{DEPLOYMENT, Install, Model, RELEASE, Wva, with_instances_by};
use wva_e2e::workload::A100;

use crate::lifecycle::cycles;
use crate::neighbours::goes_on;
use crate::plugin::done;

const THIS: &str = env!("CARGO_PKG_VERSION");
const NEXT: &str = "99.0.0";
/// Between two looks at replicas that must not change.
const LOOK: Duration = Duration::from_millis(300);

/// The chart of the next version, packaged.
struct NextVersion {
    dir: tempfile::TempDir,
}

impl NextVersion {
    async fn package(helm: &Helm) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().to_str().unwrap();
        let line = ["package", Helm::chart(), "--version", NEXT, "--app-version", NEXT, "--destination", to];
        helm.run(&line).await.unwrap();
        Self { dir }
    }

    fn chart(&self) -> String {
        self.dir.path().join(format!("workload-variant-autoscaler-{NEXT}.tgz")).display().to_string()
    }

    /// What is installed of it: its image is the one that there is.
    fn of(wva: &Wva<'_>) -> Controller {
        let mut controller = wva.controller();
        controller.set.push(format!("wva.image.tag={THIS}"));
        controller
    }
}

/// The version that the controller's Deployment says it is of.
async fn version(wva: &Wva<'_>) -> String {
    let path = r"jsonpath={.metadata.labels.app\.kubernetes\.io/version}";
    let deployment = format!("deployment/{DEPLOYMENT}");
    wva.kubectl().run(&["get", &deployment, "-n", &wva.namespace(), "-o", path]).await.unwrap()
}

/// Waits until the controller is rolled out and the pod that is left has decided some times.
async fn rolled_out(wva: &Wva<'_>) {
    let namespace = wva.namespace();
    let deployment = format!("deployment/{DEPLOYMENT}");
    let timeout = format!("--timeout={}s", wva.patience().as_secs());
    wva.kubectl().run(&["rollout", "status", &deployment, "-n", &namespace, &timeout]).await.unwrap();
    let path = "jsonpath={.items[?(@.status.phase==\"Running\")].metadata.name}";
    let list = ["get", "pods", "-n", &namespace, "-l", "control-plane=controller-manager", "-o", path];
    let only = wva.kubectl().eventually(wva.patience(), &list, |names| names.split(' ').count() == 1).await.unwrap();
    cycles(wva, only.trim(), 2.0).await;
}

/// The fewest replicas that the Deployment of a model was to have while something else happened.
async fn fewest_while(model: &Model<'_>, change: impl Future<Output = ()>) -> u32 {
    let mut change = pin!(change);
    let mut fewest = model.replicas().await;
    loop {
        let look = async {
            tokio::time::sleep(LOOK).await;
            model.replicas().await
        };
        tokio::select! {
            () = &mut change => return fewest.min(model.replicas().await),
            replicas = look => fewest = fewest.min(replicas),
        }
    }
}

/// Has a model want both of its replicas.
async fn saturated(model: &Model<'_>) {
    model.saturate().await;
    model.ready("both replicas", |ready| ready == 2).await;
    model.saturate().await;
}

/// Waits until the number of a model is published by one instance and no longer by the other.
async fn decided_by(model: &Model<'_>, wva: &Wva<'_>, other: &Wva<'_>) {
    let of = |wva: &Wva<'_>| {
        let (namespace, name, id) = (model.namespace(), model.variant(), wva.id().to_owned());
        format!(
            "wva_desired_replicas{{exported_namespace=\"{namespace}\",variant_name=\"{name}\",controller_instance=\"{id}\"}}"
        )
    };
    wva.series(&of(wva), 1).await;
    wva.series(&of(other), 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_version_and_then_the_one_before_it_take_over_under_load_and_nothing_dips() {
    with_instances_by(Install::Helm, &[], async |[wva]: &[Wva<'_>; 1]| {
        let helm = wva.environment().helm().unwrap();
        let next = NextVersion::package(&helm).await;
        let llama = wva.add_model("llama", A100, "10", 2).await;
        saturated(&llama).await;

        let upgrade = async {
            NextVersion::of(wva).helm(&helm, &["upgrade"], &next.chart()).await.unwrap();
            rolled_out(wva).await;
        };
        assert_eq!(fewest_while(&llama, upgrade).await, 2, "replicas during the upgrade");
        assert_eq!(version(wva).await, NEXT);

        let downgrade = async {
            helm.run(&["rollback", RELEASE, "1", "-n", &wva.namespace()]).await.unwrap();
            rolled_out(wva).await;
        };
        assert_eq!(fewest_while(&llama, downgrade).await, 2, "replicas during the downgrade");
        assert_eq!(version(wva).await, THIS);

        llama.idle().await;
        llama.desired("one replica without load", |desired| desired == 1).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_decides_for_one_variant_fails_unnoticed_and_then_takes_over_from_the_old_version() {
    with_instances_by(Install::Nothing, &[], async |[blue, green]: &[Wva<'_>; 2]| {
        let helm = blue.environment().helm().unwrap();
        let next = NextVersion::package(&helm).await;
        blue.controller().install_with(&helm, blue.kubectl()).await.unwrap();
        NextVersion::of(green).helm(&helm, &["install"], &next.chart()).await.unwrap();
        blue.ready().await;
        green.ready().await;
        assert_eq!((version(blue).await.as_str(), version(green).await.as_str()), (THIS, NEXT));
        let llama = blue.add_model("llama", A100, "10", 2).await;
        let qwen = blue.add_model("qwen", A100, "10", 2).await;
        saturated(&llama).await;
        saturated(&qwen).await;
        let hand_over = async |model: &Model<'_>, from: &Wva<'_>, to: &Wva<'_>| {
            let moved = async {
                done(blue, &["move", model.name(), "--to", to.id()]).await;
                decided_by(model, to, from).await;
            };
            assert_eq!(fewest_while(model, moved).await, 2, "{} moves to {}", model.name(), to.id());
        };

        // The canary has one variant.
        hand_over(&llama, blue, green).await;
        decided_by(&qwen, blue, green).await;

        // It fails: what it decided last stays, and the old version does not notice.
        let deployment = format!("deployment/{DEPLOYMENT}");
        let scale = async |replicas: &str| {
            let line = ["scale", &deployment, "-n", &green.namespace(), replicas];
            green.kubectl().run(&line).await.unwrap();
        };
        scale("--replicas=0").await;
        assert_eq!(fewest_while(&llama, goes_on(blue)).await, 2);
        assert_eq!(qwen.replicas().await, 2);
        hand_over(&llama, green, blue).await;

        // Mended, it takes everything, and the old version goes.
        scale("--replicas=1").await;
        green.ready().await;
        hand_over(&llama, blue, green).await;
        hand_over(&qwen, blue, green).await;
        helm.run(&["uninstall", RELEASE, "-n", &blue.namespace()]).await.unwrap();
        for model in [&llama, &qwen] {
            model.idle().await;
            model.desired("one replica without load", |desired| desired == 1).await;
        }
    })
    .await;
}
