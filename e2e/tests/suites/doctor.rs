//! `kubectl wva doctor`: causes within an instance are made, each alone and in pairs; doctor names them within seconds, names
//! nothing else, and the command it gives mends them. (What concerns the whole cluster is in `doctor.rs`.)

use std::collections::BTreeSet;
use std::time::Duration;

use rstest::rstest;
use serde_json::Value;
use wva_e2e::instance::Controller;
use wva_e2e::instances::{Install, Wva, with_instances_by};
use wva_e2e::wait::{self, Look};

use crate::causes::{CASES, Case, ELSEWHERE, apart};
use crate::clinic::{Clinic, RELEASE, twin};

/// Instances among which the causes are dealt out, to be treated at once.
const WARDS: usize = 4;
/// Pairs for each of them: 20 in all.
const PAIRS: usize = 5;
/// Draws the pairs; `DOCTOR_SEED` draws others.
const SEED: u64 = 20;

/// Runs a test on a healthy model of an instance.
async fn with_clinic(test: impl AsyncFnOnce(&Wva<'_>, &Clinic<'_>)) {
    with_instances_by(Install::Nothing, &[], async |[wva]: &[Wva<'_>; 1]| {
        let controller = Controller { release: RELEASE.to_owned(), ..wva.controller() };
        let clinic = Clinic::open(wva.environment(), controller, &wva.models()).await;
        test(wva, &clinic).await;
    })
    .await;
}

/// A ward of the clinic: the namespaces that cases use are there.
async fn in_ward(test: impl AsyncFnOnce(&Clinic<'_>)) {
    with_clinic(async |wva, clinic| {
        wva.make_namespace(&twin(&wva.namespace())).await;
        test(clinic).await;
    })
    .await;
}

/// Makes causes, sees them found, carries their remedies out as printed or by `doctor --fix --yes`, sees them gone.
async fn treat(clinic: &Clinic<'_>, cases: &[&Case], by_doctor: bool) {
    let mut expected: Vec<&str> = cases.iter().map(|case| case.cause).collect();
    expected.sort_unstable();
    let limit = |of: fn(&Case) -> Duration| cases.iter().map(|case| of(case)).max().unwrap_or_default();
    for case in cases {
        clinic.run(case.harm).await;
    }
    let (findings, found) = clinic.look(&expected, &expected, limit(|case| case.soon.0), true).await;
    let fixes = findings.as_array().unwrap().iter().map(|finding| finding["fix"][0].as_str());
    let fixes: Vec<String> =
        fixes.map(|fix| fix.unwrap_or_else(|| panic!("no remedy: {findings:#}")).to_owned()).collect();
    if by_doctor {
        let answer = clinic
            .environment
            .kubectl()
            .answer(&["doctor", "-n", &clinic.named("@models"), "--fix", "--yes"])
            .await
            .unwrap();
        assert_eq!(answer.code, Some(0), "{expected:?}: {answer:?}");
    } else {
        for fix in &fixes {
            let fix = clinic.reachable(fix);
            if let Err(error) = clinic.environment.kubectl().shell(&fix).await {
                panic!("{fix}\n{error}\n{findings:#}");
            }
        }
    }
    let (_, mended) = clinic.look(&expected, &[], limit(|case| case.soon.1), true).await;
    let how = if by_doctor { "doctor --fix --yes".to_owned() } else { fixes.join("; ") };
    anstream::println!("{expected:?}: found after {found:.1?}, gone {mended:.1?} after {how}");
    // A remedy takes effect step by step: what was mended may be seen once more on the way.
    clinic.settled(&expected).await;
    let after: Vec<&str> = cases.iter().map(|case| case.after).filter(|after| !after.is_empty()).collect();
    if !after.is_empty() {
        for line in after {
            clinic.run(line).await;
        }
        clinic.settled(&expected).await;
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn each_cause_alone_is_found_at_once_and_mended_as_printed(#[values(0, 1, 2, 3)] ward: usize) {
    in_ward(async |clinic| {
        for case in CASES.iter().skip(ward).step_by(WARDS) {
            treat(clinic, &[case], false).await;
        }
    })
    .await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn two_causes_at_once_are_both_found_and_mended(#[values(0, 1, 2, 3)] ward: usize) {
    let given = std::env::var("DOCTOR_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or(SEED);
    anstream::println!("ward {ward}: DOCTOR_SEED={seed} draws these pairs");
    in_ward(async |clinic| {
        for (at, pair) in pairs(seed + ward as u64).into_iter().enumerate() {
            // Advice is not carried out by doctor, and not all commands reach Prometheus by the name of its Service here.
            let left_to_people = |case: &&Case| matches!(case.cause, "HpaFollowsSlowly" | "PrometheusUnreachable");
            treat(clinic, &pair, at % 2 == 0 && !pair.iter().any(left_to_people)).await;
        }
    })
    .await;
}

/// Different pairs that can be told side by side, as a seed draws them.
fn pairs(seed: u64) -> Vec<[&'static Case; 2]> {
    let mut all: Vec<[&Case; 2]> = (0..CASES.len())
        .flat_map(|first| (first + 1..CASES.len()).map(move |second| [&CASES[first], &CASES[second]]))
        .filter(|[first, second]| apart(first, second).is_none())
        .collect();
    let mut state = seed;
    let mut drawn = Vec::new();
    while drawn.len() < PAIRS {
        // Knuth's MMIX generator; its upper bits are the good ones.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = usize::try_from(state >> 33).unwrap_or(0) % all.len();
        drawn.push(all.swap_remove(at));
    }
    drawn
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cause_that_doctor_knows_is_produced_here_or_it_is_said_where() {
    with_clinic(async |wva, _| {
        let answer = wva.kubectl().answer(&["doctor", "-n", &wva.models(), "-o", "json"]).await.unwrap();
        let view: Value = serde_json::from_str(&answer.out).unwrap();
        let known: BTreeSet<&str> =
            view["checks"].as_array().unwrap().iter().map(|check| check["cause"].as_str().unwrap()).collect();
        let here = CASES.iter().map(|case| case.cause).chain(ELSEWHERE.iter().map(|(cause, _)| *cause));
        assert_eq!(here.collect::<BTreeSet<&str>>(), known);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_cannot_start_is_told_with_its_last_words_or_with_what_it_was_given() {
    with_clinic(async |wva, clinic| {
        // A setting with which the process does not start.
        clinic.run("kubectl scale deployment/@controller -n @system --replicas=0").await;
        clinic.run("kubectl set env deployment/@controller -n @system REST_CLIENT_TIMEOUT=soon").await;
        clinic.run("kubectl scale deployment/@controller -n @system --replicas=1").await;
        let kubectl = wva.kubectl();
        wait::until("doctor to show the controller's last words", clinic.patience(), || async {
            let answer = kubectl.answer(&["doctor", "-n", &wva.models()]).await.unwrap();
            let told = answer.out.contains("ControllerDown") && answer.out.contains("REST_CLIENT_TIMEOUT");
            if told { Look::Done(()) } else { Look::NotYet(answer.out) }
        })
        .await
        .unwrap();
        clinic.run("kubectl set env deployment/@controller -n @system REST_CLIENT_TIMEOUT-").await;
        clinic.mended("ControllerDown").await;

        // The label value of an id must begin with a letter or digit.
        clinic.run("kubectl set env deployment/@controller -n @system CONTROLLER_INSTANCE=-").await;
        let finding = clinic.finds("ControllerDown").await;
        clinic.fix(&finding, 0).await;
        // Until the first pod of the mended version is made, the roll-out is stuck.
        clinic.settled(&["ControllerDown", "RolloutStuck"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_controller_of_an_instance_is_named_as_the_intruder_and_removed() {
    with_clinic(async |wva, clinic| {
        let namespace = twin(&wva.namespace());
        wva.make_namespace(&namespace).await;
        let second = Controller { namespace, ..clinic.controller.clone() };
        second.install(wva.kubectl()).await.unwrap();
        let finding = clinic.finds("DuplicateSeries").await;
        assert!(finding["fix"][0].as_str().unwrap().ends_with(&clinic.named("-n @twin")), "{finding:#}");
        clinic.fix(&finding, 0).await;
        clinic.mended("DuplicateSeries").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn remedies_keep_what_was_set_and_name_the_prometheus_that_is_there() {
    with_clinic(async |wva, clinic| {
        let monitor = "servicemonitor llama-vllm-monitor -n @models";
        let finding = clinic.case("ServiceMonitorMissing", &format!("kubectl delete {monitor}")).await;
        assert_eq!(
            finding["fix"][0],
            clinic.named("kubectl wva add-model llama -n @models"),
            "it remembers the rest: {finding:#}"
        );
        let interval =
            clinic.run(&format!("kubectl get {monitor} -o jsonpath='{{.spec.endpoints[0].interval}}'")).await;
        assert_eq!(interval, "1s", "the user's own settings are kept");
        clinic.case("HpaMissing", "kubectl delete hpa llama-hpa -n @models").await;
        let most = clinic.run("kubectl get hpa llama-hpa -n @models -o jsonpath='{.spec.maxReplicas}'").await;
        assert_eq!(most, "3", "the user's own settings are kept");

        clinic.run("kubectl scale deployment/@controller -n @system --replicas=0").await;
        clinic.run("kubectl set env deployment/@controller -n @system PROMETHEUS_BASE_URL=http://127.0.0.1:1").await;
        clinic.run("kubectl scale deployment/@controller -n @system --replicas=1").await;
        let finding = clinic.finds("PrometheusUnreachable").await;
        let port = clinic.run("kubectl get service prometheus -n monitoring -o jsonpath={.spec.ports[0].port}").await;
        let named = format!("http://prometheus.monitoring.svc:{port}");
        assert!(finding["fix"][0].as_str().unwrap().contains(&named), "{finding:#}");
        clinic.fix(&finding, 0).await;
        clinic.mended("PrometheusUnreachable").await;

        clinic.run("kubectl delete servicemonitor @controller-metrics-monitor -n @system").await;
        let finding = clinic.finds("ServiceMonitorMissing").await;
        clinic.fix(&finding, 0).await;
        clinic.mended("ServiceMonitorMissing").await;
        assert_eq!(wva.kubectl().answer(&["doctor", "-n", &wva.models()]).await.unwrap().code, Some(0));
    })
    .await;
}
