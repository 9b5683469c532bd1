//! The Workload Variant Autoscaler controller: observe, decide, actuate, report.
