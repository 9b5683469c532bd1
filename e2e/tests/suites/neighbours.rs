//! One instance is killed, upgraded or misconfigured: the others do not notice.

use wva_e2e::helm::Helm;
use wva_e2e::instances::{DEPLOYMENT, Install, Model, Wva, with_instances, with_instances_by};
use wva_e2e::wait::{self, Look};
use wva_e2e::workload::A100;

/// Uid and restarts of the controller's pods.
async fn pods(wva: &Wva<'_>) -> String {
    let path = "jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[0].restartCount}{end}";
    let selector = "control-plane=controller-manager";
    wva.kubectl().run(&["get", "pods", "-n", &wva.namespace(), "-l", selector, "-o", path]).await.unwrap()
}

/// Waits until the controller has finished some more cycles than now.
pub(crate) async fn goes_on(wva: &Wva<'_>) {
    let prometheus = wva.environment().prometheus();
    let query = format!("sum(wva_cycle_duration_seconds_count{{namespace=\"{}\"}})", wva.namespace());
    let count = async || prometheus.query(&query).await.ok().and_then(|series| Some(series.first()?.value));
    let before = count().await.unwrap_or_default();
    let what = format!("two more cycles of {}", wva.id());
    let more = wait::until(&what, wva.patience(), || async {
        match count().await {
            Some(now) if now >= before + 2.0 => Look::Done(()),
            seen => Look::NotYet(format!("{seen:?}, before {before}")),
        }
    });
    more.await.unwrap();
}

/// The neighbour works as before: the same pods, its own series, and a model that grows when it must.
async fn undisturbed(wva: &Wva<'_>, model: &Model<'_>, pods_before: &str) {
    goes_on(wva).await;
    assert_eq!(pods(wva).await, pods_before, "the pods of {}", wva.id());
    wva.series(&format!("wva_desired_replicas{{controller_instance=\"{}\"}}", wva.id()), 1).await;
    model.saturate().await;
    model.desired("more than one replica", |desired| desired > 1).await;
}

async fn with_models<'a>(victim: &'a Wva<'a>, neighbour: &'a Wva<'a>) -> [Model<'a>; 2] {
    let models = [victim.add_model("llama", A100, "10", 3).await, neighbour.add_model("llama", A100, "10", 3).await];
    for model in &models {
        model.desired("a first decision", |desired| desired == 1).await;
    }
    models
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_controller_comes_back_to_its_own_models_and_its_neighbour_does_not_notice() {
    with_instances(async |[victim, neighbour]: &[Wva<'_>; 2]| {
        let [ours, theirs] = with_models(victim, neighbour).await;
        let (before, killed) = (pods(neighbour).await, pods(victim).await);
        let selector = "control-plane=controller-manager";
        let kill = ["delete", "pods", "-n", &victim.namespace(), "-l", selector, "--force", "--grace-period=0"];
        victim.kubectl().run(&kill).await.unwrap();

        undisturbed(neighbour, &theirs, &before).await;

        victim.ready().await;
        ours.saturate().await;
        ours.desired("more than one replica", |desired| desired > 1).await;
        assert_ne!(pods(victim).await, killed, "another pod decides");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_of_one_release_by_helm_does_not_touch_its_neighbour() {
    with_instances_by(Install::Helm, &[], async |[victim, neighbour]: &[Wva<'_>; 2]| {
        let [ours, theirs] = with_models(victim, neighbour).await;
        let (before, old) = (pods(neighbour).await, pods(victim).await);
        let mut upgraded = victim.controller();
        // A pod that is another one after the upgrade.
        upgraded.set.push("wva.logging.level=debug".to_owned());
        let helm = victim.environment().helm().unwrap();
        upgraded.helm(&helm, &["upgrade"], Helm::chart()).await.unwrap();
        let rolled = format!("deployment/{DEPLOYMENT}");
        let timeout = format!("--timeout={}s", victim.patience().as_secs());
        victim.kubectl().run(&["rollout", "status", &rolled, "-n", &victim.namespace(), &timeout]).await.unwrap();
        assert_ne!(pods(victim).await, old, "the release was upgraded");

        undisturbed(neighbour, &theirs, &before).await;
        ours.saturate().await;
        ours.desired("more than one replica", |desired| desired > 1).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_in_the_settings_of_one_instance_is_told_there_and_changes_nothing_elsewhere() {
    with_instances(async |[victim, neighbour]: &[Wva<'_>; 2]| {
        let [ours, theirs] = with_models(victim, neighbour).await;
        let before = pods(neighbour).await;
        let log = |wva: &Wva<'_>| format!("--namespace={}", wva.namespace());
        let deployment = format!("deployment/{DEPLOYMENT}");
        let patch = r#"{"data": {"GLOBAL_OPT_INTERVAL": "soon", "PROMETHEUS_BASE_URL": "http://elsewhere:9090"}}"#;
        let mistake = ["patch", "configmap", "wva-variantautoscaling-config", "--type=merge", "-p", patch];
        victim.kubectl().run(&[&mistake[..], &[&log(victim)]].concat()).await.unwrap();
        let words = "Attempted to change immutable parameters";
        let told = ["logs", &deployment, &log(victim)];
        victim.kubectl().eventually(victim.patience(), &told, |seen| seen.contains(words)).await.unwrap();

        undisturbed(neighbour, &theirs, &before).await;
        let heard = neighbour.kubectl().run(&["logs", &deployment, &log(neighbour)]).await.unwrap();
        assert!(!heard.contains(words) && !heard.contains("elsewhere"), "{heard}");
        // The last good settings stay in force.
        ours.saturate().await;
        ours.desired("more than one replica", |desired| desired > 1).await;
    })
    .await;
}
