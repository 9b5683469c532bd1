//! Flow control: which requests are held back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Requests held back, by model.
#[derive(Debug, Default)]
pub(super) struct Flow(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// Requests and bytes of each model that ever had one.
    held: BTreeMap<String, Held>,
    /// What the page is to say instead.
    pins: BTreeMap<String, f64>,
}

/// What is held of one model.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Held {
    pub(super) requests: f64,
    pub(super) bytes: f64,
}

/// One request that is held; dropping it lets go of it, be it answered or given up by its client.
#[derive(Debug)]
pub(super) struct Ticket {
    flow: Arc<Flow>,
    model: String,
    bytes: f64,
}

impl Flow {
    /// Holds a request.
    pub(super) fn hold(self: &Arc<Self>, model: &str, bytes: usize) -> Ticket {
        let bytes = u32::try_from(bytes).map_or(f64::from(u32::MAX), f64::from);
        let mut counts = self.counts();
        let held = counts.held.entry(model.to_owned()).or_default();
        held.requests += 1.0;
        held.bytes += bytes;
        drop(counts);
        Ticket { flow: Arc::clone(self), model: model.to_owned(), bytes }
    }

    /// What the page says of each model.
    pub(super) fn shown(&self) -> BTreeMap<String, Held> {
        let counts = self.counts();
        let mut shown = counts.held.clone();
        for (model, requests) in &counts.pins {
            shown.entry(model.clone()).or_default().requests = *requests;
        }
        shown
    }

    /// Pins the number of a model, or lets it go.
    pub(super) fn pin(&self, model: String, requests: Option<f64>) {
        let mut counts = self.counts();
        match requests {
            Some(requests) => counts.pins.insert(model, requests),
            None => counts.pins.remove(&model),
        };
    }

    /// The pins in force.
    pub(super) fn pins(&self) -> BTreeMap<String, f64> {
        self.counts().pins.clone()
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(held) = self.flow.counts().held.get_mut(&self.model) {
            held.requests -= 1.0;
            held.bytes -= self.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_for_as_long_as_it_is_held_and_its_model_stays_known() {
        let flow = Arc::new(Flow::default());
        let ticket = flow.hold("llama", 100);
        assert_eq!(flow.shown(), [("llama".to_owned(), Held { requests: 1.0, bytes: 100.0 })].into());
        drop(ticket);
        assert_eq!(flow.shown(), [("llama".to_owned(), Held::default())].into());
    }

    #[test]
    fn a_pin_hides_the_real_number_until_it_is_taken_away() {
        let flow = Arc::new(Flow::default());
        flow.pin("llama".to_owned(), Some(7.0));
        assert!(flow.shown()["llama"].requests > 6.0);
        flow.pin("llama".to_owned(), None);
        assert_eq!(flow.shown(), BTreeMap::new());
    }
}
