//! kubectl plugin of the Workload Variant Autoscaler.
