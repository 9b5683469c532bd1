//! Carrying a plan out: [`publish`] its numbers for whoever scales by them, and [`wake`] what no autoscaler may.

pub mod publish;
pub mod wake;
