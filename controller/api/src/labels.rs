//! Labels and annotations that mean something to the controller.

/// Label that assigns an object to one controller instance. Absent: the controller without an id.
pub const CONTROLLER_INSTANCE: &str = "wva.llmd.ai/controller-instance";

/// Label of a `VariantAutoscaling` that names the accelerator its replicas run on, e.g. `A100`.
pub const ACCELERATOR: &str = "inference.optimization/acceleratorName";

/// Label of a Namespace (value `true`) that makes its local ConfigMaps count before it holds a variant.
pub const CONFIG_ENABLED: &str = "wva.llmd.ai/config-enabled";

/// Annotation of a `VariantAutoscaling`: milliseconds per output token that were promised to the users of its model.
pub const SLO_TPOT_MS: &str = "wva.llmd.ai/slo-tpot-ms";

/// Annotation of a `VariantAutoscaling`: milliseconds to the first token that were promised to the users of its model.
pub const SLO_TTFT_MS: &str = "wva.llmd.ai/slo-ttft-ms";

/// Annotation of a `VariantAutoscaling`: name of the service class that counts for its model.
pub const SERVICE_CLASS: &str = "wva.llmd.ai/service-class";

/// Annotation of a Namespace (value exactly `true`) that takes all its variants out of the controller's hands.
pub const EXCLUDE: &str = "wva.llmd.ai/exclude";

/// Annotation of a controller's Lease: the last good content of its main ConfigMap, as JSON, for the next start.
pub const LAST_GOOD_CONFIG: &str = "wva.llmd.ai/last-good-config";

/// Annotation of a controller's Lease: version of the program that wrote it last, that is, of the one that leads.
pub const PROGRAM_VERSION: &str = "wva.llmd.ai/program-version";
