//! What it is worth to change a server's allocation, as the Go controller's solver weighed it.

/// Replicas on an accelerator, and what they cost together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Allocation<'a> {
    /// Accelerator.
    pub accelerator: &'a str,
    /// Replicas.
    pub replicas: u32,
    /// Cost of all of them.
    pub cost: f64,
}

impl Allocation<'_> {
    /// Penalty of going from this allocation to another: the difference in cost, and where the accelerator changes a tenth
    /// of both costs. From 2 replicas at 100 to 2 on another accelerator at 120: 0.1 · 220 + 20 = 42.
    ///
    /// Variants keep their accelerators here, so of two decisions the cheaper one has the smaller penalty as well.
    pub fn penalty_to(&self, other: &Self) -> f64 {
        let difference = other.cost - self.cost;
        match (self.accelerator == other.accelerator, self.replicas == other.replicas) {
            (true, true) => 0.0,
            (true, false) => difference,
            (false, _) => 0.1 * (self.cost + other.cost) + difference,
        }
    }
}
