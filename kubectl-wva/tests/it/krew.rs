//! The krew manifest, filled in as a release fills it in.

use serde_json::Value;

#[test]
fn the_krew_manifest_is_one_that_krew_takes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../hack/krew/wva.yaml");
    let filled: String = std::fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(|line| match line.trim().strip_prefix("{{addURIAndSha \"") {
            Some(rest) => {
                let uri = rest.split('"').next().unwrap().replace("{{ .TagName }}", "v0.6.0");
                format!("      uri: {uri}\n      sha256: {}\n", "0".repeat(64))
            }
            None => format!("{}\n", line.replace("{{ .TagName }}", "v0.6.0")),
        })
        .collect();
    assert!(!filled.contains("{{"), "{filled}");
    let manifest: Value = serde_saphyr::from_str(&filled).unwrap();
    assert_eq!(manifest["metadata"]["name"], "wva");
    assert_eq!(manifest["spec"]["version"], "v0.6.0");
    // krew's rule: one line of at most 50 characters.
    assert!(manifest["spec"]["shortDescription"].as_str().unwrap().len() <= 50);
    let platforms = manifest["spec"]["platforms"].as_array().unwrap();
    assert_eq!(platforms.len(), 3);
    for platform in platforms {
        assert_eq!(platform["bin"], "kubectl-wva");
        let labels = &platform["selector"]["matchLabels"];
        let name = format!("{}_{}.tar.gz", labels["os"].as_str().unwrap(), labels["arch"].as_str().unwrap());
        assert!(platform["uri"].as_str().unwrap().ends_with(&name), "{platform}");
    }
}
