//! Quotas and the classes that objects choose from.

use serde_json::json;

use super::{Layout, age, joined, list, or_none, text};

pub(super) const RESOURCE_QUOTA: Layout = Layout {
    columns: &[("Request", "string", 0), ("Limit", "string", 0), ("Age", "string", 0)],
    cells: |object, now| {
        let used = |limits: bool| {
            let hard = object["spec"]["hard"].as_object().into_iter().flatten();
            let listed = hard.filter(|(name, _)| name.starts_with("limits.") == limits).map(|(name, most)| {
                let used = object["status"]["used"].get(name).map_or_else(|| "0".to_owned(), text);
                format!("{name}: {used}/{}", text(most))
            });
            json!(listed.collect::<Vec<_>>().join(", "))
        };
        vec![used(false), used(true), age::of(object, now)]
    },
};

pub(super) const PRIORITY_CLASS: Layout = Layout {
    columns: &[
        ("Value", "integer", 0),
        ("Global-Default", "boolean", 0),
        ("Age", "string", 0),
        ("PreemptionPolicy", "string", 0),
    ],
    cells: |object, now| {
        vec![
            object["value"].clone(),
            json!(object["globalDefault"] == true),
            age::of(object, now),
            or_none(&object["preemptionPolicy"]),
        ]
    },
};

pub(super) const WEBHOOKS: Layout = Layout {
    columns: &[("Webhooks", "integer", 0), ("Age", "string", 0)],
    cells: |object, now| vec![json!(list(&object["webhooks"]).count()), age::of(object, now)],
};

pub(super) const STORAGE_CLASS: Layout = Layout {
    columns: &[
        ("Provisioner", "string", 0),
        ("ReclaimPolicy", "string", 0),
        ("VolumeBindingMode", "string", 0),
        ("AllowVolumeExpansion", "boolean", 0),
        ("Age", "string", 0),
    ],
    cells: |object, now| {
        vec![
            or_none(&object["provisioner"]),
            or_none(&object["reclaimPolicy"]),
            or_none(&object["volumeBindingMode"]),
            json!(object["allowVolumeExpansion"] == true),
            age::of(object, now),
        ]
    },
};

pub(super) const INGRESS_CLASS: Layout = Layout {
    columns: &[("Controller", "string", 0), ("Parameters", "string", 0), ("Age", "string", 0)],
    cells: |object, now| {
        let parameters = &object["spec"]["parameters"];
        let group = parameters["apiGroup"].as_str().map(|group| format!(".{group}")).unwrap_or_default();
        let target = parameters["kind"].as_str().map(|kind| format!("{kind}{group}/{}", text(&parameters["name"])));
        vec![or_none(&object["spec"]["controller"]), joined(target, ""), age::of(object, now)]
    },
};

pub(super) const RUNTIME_CLASS: Layout = Layout {
    columns: &[("Handler", "string", 0), ("Age", "string", 0)],
    cells: |object, now| vec![or_none(&object["handler"]), age::of(object, now)],
};
