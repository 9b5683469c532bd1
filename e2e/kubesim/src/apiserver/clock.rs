//! Time in the two forms the API writes it.

use jiff::Timestamp;

/// Now, in whole seconds, as `metadata.creationTimestamp` has it.
pub(super) fn now() -> String {
    seconds(Timestamp::now())
}

pub(super) fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
