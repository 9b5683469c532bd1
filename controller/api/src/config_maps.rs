//! Names of the ConfigMaps that the controller reads.

/// The main ConfigMap, unless [`crate::config_keys::CONFIG_MAP_NAME`] names another.
pub const MAIN: &str = "wva-variantautoscaling-config";

/// Saturation settings, in the controller's namespace (unless
/// [`crate::config_keys::SATURATION_CONFIG_MAP_NAME`] names another) and in a workload's.
pub const SATURATION: &str = "wva-saturation-scaling-config";
/// Older names of [`SATURATION`], the first one that exists counts.
pub const SATURATION_OLD: &[&str] = &["wva-saturation-config", "saturation-scaling-config", "capacity-scaling-config"];

/// Scale-to-zero settings, in the controller's namespace (unless
/// [`crate::config_keys::SCALE_TO_ZERO_CONFIG_MAP_NAME`] names another) and in a workload's.
pub const SCALE_TO_ZERO: &str = "wva-model-scale-to-zero-config";
/// Older names of [`SCALE_TO_ZERO`], the first one that exists counts.
pub const SCALE_TO_ZERO_OLD: &[&str] = &["wva-scale-to-zero-config", "model-scale-to-zero-config"];

/// Service classes and profiles for the hybrid mode, in the controller's namespace.
pub const SERVICE_CLASS: &str = "serviceclass";
/// Key of [`SERVICE_CLASS`]: what was promised, a list in YAML.
pub const SERVICE_CLASSES: &str = "serviceClasses";
/// Key of [`SERVICE_CLASS`]: how fast models are, a list in YAML.
pub const PROFILES: &str = "profiles";

/// Key of a saturation or scale-to-zero ConfigMap whose entry holds for all models.
pub const DEFAULT_ENTRY: &str = "default";
/// Key of the main ConfigMap that may hold all other keys as YAML.
pub const MAIN_FILE: &str = "config.yaml";
