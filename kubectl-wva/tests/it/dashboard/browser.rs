//! The page in headless Chromium: what stands in its document. `CHROMIUM` names the program (hack/tools.sh sets it).
//!
//! With `DASHBOARD_SHOTS=FOLDER` pictures of it are left there, for people to look at.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use kubectl_wva::commands::dashboard::{Answer, Answers, DashboardView, serve};
use rstest::rstest;
use tokio::net::TcpListener;

use super::stand_in;

/// Answers that were prepared.
struct Prepared(DashboardView);

impl Answers for Prepared {
    async fn state(&self) -> String {
        Answer { last: Some(&self.0), trouble: None }.json()
    }

    async fn findings(&self) -> String {
        Answer::<()> { last: None, trouble: Some("doctor was not asked".to_owned()) }.json()
    }
}

fn chromium() -> String {
    let named = std::env::var("CHROMIUM").ok().filter(|program| !program.is_empty());
    let found = || {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let programs = ["chromium", "chromium-browser", "google-chrome"];
        let mut all = std::env::split_paths(&folders).flat_map(|folder| programs.map(|program| folder.join(program)));
        all.find(|path| path.is_file()).map(|path| path.display().to_string())
    };
    named.or_else(found).expect("this test needs Chromium: apt-get install chromium, or name the program in CHROMIUM")
}

/// Starts the browser on the page; it ends when the page has had some seconds, of its own time, to draw.
async fn browse(profile: &Path, url: &str, width: u32, more: &[String]) -> String {
    let output = tokio::process::Command::new(chromium())
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"])
        .args(["--no-first-run", "--disable-extensions", "--virtual-time-budget=4000"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("--window-size={width},1500"))
        .args(more)
        .arg(url)
        .env("HOME", profile)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_mins(3), output).await.expect("the browser ends").unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The document of the page on `count` variants.
async fn document(count: usize, width: u32) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let prepared = Prepared(stand_in::view(count));
    let profile = tempfile::tempdir().unwrap();
    let looking = async {
        if let Some(folder) = std::env::var_os("DASHBOARD_SHOTS") {
            let file = Path::new(&folder).join(format!("dashboard-{count}-{width}.png"));
            browse(profile.path(), &url, width, &[format!("--screenshot={}", file.display())]).await;
        }
        browse(profile.path(), &url, width, &["--dump-dom".to_owned()]).await
    };
    tokio::select! {
        never = serve(listener, &prepared) => match never {},
        document = looking => document,
    }
}

const FIGURES: [&str; 4] = ["kv", "queue", "replicas", "spend"];

/// What stands between the tag of an id and the end of that part.
fn part<'a>(document: &'a str, id: &str) -> &'a str {
    let (_, rest) = document.split_once(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("no {id} in {document}"));
    rest.split(if FIGURES.contains(&id) { "</figure>" } else { "</section>" }).next().unwrap()
}

#[rstest]
#[case::one(1, 1280)]
#[case::three(3, 1280)]
#[case::three_narrow(3, 800)]
#[case::fifty(50, 1280)]
#[tokio::test]
async fn a_browser_draws_load_replicas_decisions_cost_and_problems(#[case] count: usize, #[case] width: u32) {
    let page = document(count, width).await;
    assert!(page.contains(&format!("data-drawn=\"{count}\"")), "the page was drawn: {page}");
    assert_eq!(part(&page, "variants").matches("<tr").count(), count + 1, "a row for each variant and the header");
    assert!(
        part(&page, "variants").contains("of 1 to 10") && part(&page, "variants").contains("2 → 3"),
        "replicas and limits"
    );
    // Axes with units, and the thresholds in force.
    for (figure, unit, limit) in [
        ("kv", "share of the cache", "saturated from 80 %"),
        ("queue", "requests per replica", "saturated from 5"),
        ("replicas", ">replicas<", "at most 10"),
        ("spend", "currency of variantCost per hour", ""),
    ] {
        let drawn = part(&page, figure);
        assert!(drawn.contains(unit) && drawn.contains(limit) && drawn.contains("time of day"), "{figure}: {drawn}");
        assert!(drawn.contains("class=\"series"), "{figure} has a line: {drawn}");
        assert!(!drawn.contains("NaN") && !drawn.contains("undefined"), "{figure}: {drawn}");
    }
    // A line for each variant; of many, the six that are fullest.
    let lines = part(&page, "replicas").matches(": there</title>").count();
    assert_eq!(lines, count.min(6));
    assert_eq!(part(&page, "time").contains("6 of 50 drawn"), count == 50);
    let decisions = part(&page, "decisions");
    assert!(decisions.contains("spare KV 0.04 below 0.10: two replicas more"), "{decisions}");
    assert!(decisions.contains("Waiting for model-") && !decisions.contains("-va to go"), "by the names people know");
    assert!(part(&page, "problems").contains("saturated: 1 replica is on its way"), "{}", part(&page, "problems"));
    assert!(part(&page, "problems").contains("doctor was not asked"));
    let tiles = part(&page, "tiles");
    assert!(tiles.contains("cost per hour") && tiles.contains("0 of 1"), "{tiles}");
    assert!(part(&page, "controllers").contains("wva-system/wva-controller-manager"));
}

#[tokio::test]
async fn a_cluster_without_variants_is_no_empty_page() {
    let page = document(0, 800).await;
    assert!(part(&page, "variants").contains("kubectl wva add-model makes one"), "{page}");
    assert!(part(&page, "kv").contains("nothing is known of this time"), "{page}");
}
