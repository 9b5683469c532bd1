//! Dividing free GPUs among variants that are to grow.
//!
//! Greedy by need: who has least capacity to spare is served first, then who is cheaper, then by name. Replicas are whole:
//! what is left of a variant's share and does not make one more replica stays free for the next.

use std::collections::BTreeMap;

/// Growth that is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Request<'a> {
    /// Namespace and name of the variant.
    pub variant: (&'a str, &'a str),
    /// Pool its GPUs come from.
    pub pool: String,
    /// Replicas more than it has.
    pub replicas: u32,
    /// GPUs per replica; 0 counts as 1.
    pub gpus_per_replica: u32,
    /// Whether an earlier decision granted it already: whoever follows may be about to use it.
    pub promised: bool,
    /// What the variant has to spare; less is more urgent.
    pub spare: f64,
    /// Cost of a replica.
    pub cost: f64,
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// So many replicas, at most as many as asked for.
    Replicas {
        /// Granted.
        granted: u32,
        /// GPUs that were free when it was this variant's turn.
        free: u32,
    },
    /// There is no such pool.
    UnknownPool,
}

/// Answers every request, in the order they are given, and takes what is granted out of the free GPUs.
///
/// With 10 GPUs free, 2 replicas more at 2 GPUs each get both and leave 6; with 3 free they get one and leave 1.
pub fn allocate(requests: &[Request<'_>], free: &mut BTreeMap<String, u32>) -> Vec<Grant> {
    let mut turns: Vec<_> = requests.iter().enumerate().collect();
    turns.sort_by(|(_, a), (_, b)| {
        b.promised
            .cmp(&a.promised)
            .then_with(|| a.spare.total_cmp(&b.spare))
            .then_with(|| a.cost.total_cmp(&b.cost))
            .then_with(|| a.variant.cmp(&b.variant))
    });
    let mut grants = vec![Grant::UnknownPool; requests.len()];
    for (at, request) in turns {
        if let (Some(free), Some(grant)) = (free.get_mut(&request.pool), grants.get_mut(at)) {
            let gpus_per_replica = request.gpus_per_replica.max(1);
            let granted = request.replicas.min(*free / gpus_per_replica);
            *grant = Grant::Replicas { granted, free: *free };
            *free -= granted * gpus_per_replica;
        }
    }
    grants
}
