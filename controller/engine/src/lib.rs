//! The pure decision core of the Workload Variant Autoscaler: a snapshot in, a plan out.
