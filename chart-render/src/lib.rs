//! Render a Helm chart to manifests in Rust, equal to helm.
