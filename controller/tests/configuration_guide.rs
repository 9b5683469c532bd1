//! The examples of docs/configuration.md are what the controller reads without a complaint.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use wva_controller::config::keys;
use wva_controller::config::live::config_map_entries::{Entries, Entry, Place};
use wva_controller::config::live::saturation::Saturation;
use wva_controller::config::live::scale_to_zero::ScaleToZero;

fn complaints<E: Entry>(data: &BTreeMap<String, String>, place: &Place) -> Vec<String> {
    let entries = Entries::<E>::read(data, place, None);
    assert_eq!(entries.len(), data.len());
    entries.problems().values().map(ToString::to_string).collect()
}

#[test]
fn every_example_of_the_guide_is_read_without_a_complaint() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
    let guide = std::fs::read_to_string(path).expect("the guide is there");
    let mut examples = 0;
    for part in guide.split("```yaml\n").skip(1) {
        let text = part.split("```").next().unwrap_or_default();
        let map: ConfigMap = serde_saphyr::from_str(text).expect("an example is a ConfigMap");
        let data = map.data.expect("an example has data");
        let name = map.metadata.name.expect("an example has a name");
        let place = match map.metadata.namespace.expect("an example has a namespace") {
            own if own == wva_api::config_keys::DEFAULT_POD_NAMESPACE => Place::Global,
            other => Place::Local(other),
        };
        let found = match name.as_str() {
            wva_api::config_maps::SATURATION => complaints::<Saturation>(&data, &place),
            wva_api::config_maps::SCALE_TO_ZERO => complaints::<ScaleToZero>(&data, &place),
            wva_api::config_maps::MAIN => data
                .iter()
                .filter_map(|(key, value)| match keys::find(key) {
                    Some(key) => key.kind.check(value).err(),
                    None => Some(format!("{key} is no key")),
                })
                .collect(),
            other => vec![format!("{other} is not a ConfigMap the controller reads")],
        };
        assert!(found.is_empty(), "{name}: {found:?}");
        examples += 1;
    }
    assert_eq!(examples, 3);
}
