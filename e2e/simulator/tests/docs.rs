//! The scenarios in the guide are scenarios.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "what fails here is a test")]

use wva_simulator::Scenario;

#[test]
fn the_scenarios_of_the_guide_can_be_read_and_are_sound() {
    let guide = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/simulate.md")).unwrap();
    let blocks: Vec<_> = guide.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 3);
    for block in blocks {
        let scenario: Scenario = serde_saphyr::from_str(block).unwrap();
        scenario.check().unwrap();
    }
}
