//! Reasons of the events the controller records, as `kubectl get events` shows them.

/// On a `VariantAutoscaling`: its target was found and is scaled from now on.
pub const TARGET_FOUND: &str = "TargetFound";
/// On a `VariantAutoscaling`, Warning: its target does not exist (any more).
pub const TARGET_NOT_FOUND: &str = "TargetNotFound";
/// On a `VariantAutoscaling`: the published target went up.
pub const SCALED_UP: &str = "ScaledUp";
/// On a `VariantAutoscaling`: the published target went down.
pub const SCALED_DOWN: &str = "ScaledDown";
/// On a `VariantAutoscaling`: the model is idle, the published target is 0.
pub const SCALED_TO_ZERO: &str = "ScaledToZero";
/// On a `VariantAutoscaling`: a waiting request woke the model.
pub const SCALED_FROM_ZERO: &str = "ScaledFromZero";
/// On a `VariantAutoscaling`, Warning: requests wait, and its target cannot be scaled up from 0.
pub const SCALE_FROM_ZERO_FAILED: &str = "ScaleFromZeroFailed";
/// On a `VariantAutoscaling`, Warning: the model is idle, and its target cannot be scaled to 0.
pub const SCALE_TO_ZERO_FAILED: &str = "ScaleToZeroFailed";
/// On a `VariantAutoscaling`, Warning: metrics allow no decision, the last one is held.
pub const SAFETY_NET_ACTIVATED: &str = "SafetyNetActivated";
/// On a `VariantAutoscaling`: metrics allow decisions again.
pub const SAFETY_NET_RELEASED: &str = "SafetyNetReleased";
/// On a `VariantAutoscaling`, Warning: another one names the same target.
pub const TARGET_CONFLICT: &str = "TargetConflict";
/// On a `VariantAutoscaling`, Warning: another controller instance writes its status.
pub const INSTANCE_CONFLICT: &str = "InstanceConflict";
/// On a `VariantAutoscaling`, Warning: what it asks for cannot be done.
pub const INVALID_SPEC: &str = "InvalidSpec";
/// On a `VariantAutoscaling`: somebody holds it at a number.
pub const PAUSED: &str = "Paused";
/// On a `VariantAutoscaling`: nobody holds it any longer.
pub const RESUMED: &str = "Resumed";
/// On a `VariantAutoscaling`, Warning: annotations that ask for a pause cannot be understood and are not obeyed.
pub const INVALID_PAUSE: &str = "InvalidPause";
/// On a ConfigMap, Warning: it changes what only a restart can change.
pub const IMMUTABLE_CONFIG_CHANGE_REJECTED: &str = "ImmutableConfigChangeRejected";
/// On a ConfigMap, Warning: an entry of it cannot be used; the last good one stays in force.
pub const INVALID_CONFIG: &str = "InvalidConfig";
