//! End-to-end framework of the Workload Variant Autoscaler: clusters, instances, load, the demo.
