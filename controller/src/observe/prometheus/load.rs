//! What is measured of a replica between two cycles.

/// What of a replica is near its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Load {
    /// Used share of the KV cache.
    KvUsage,
    /// Waiting requests.
    QueueLength,
}

impl Load {
    /// Its name in queries.
    pub fn name(self) -> &'static str {
        match self {
            Self::KvUsage => "kv_usage",
            Self::QueueLength => "queue_length",
        }
    }

    /// The load of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::KvUsage, Self::QueueLength].into_iter().find(|load| load.name() == name)
    }
}
