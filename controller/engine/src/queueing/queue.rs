//! A queue with one server whose speed depends on how many it serves (M/M/1/K).

use super::Error;

/// The queue in the long run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct State {
    /// Probability that nobody is there.
    pub empty: f64,
    /// Requests that are there, on average.
    pub in_system: f32,
    /// Requests that are served, on average.
    pub in_service: f32,
    /// Requests per millisecond that leave.
    pub throughput: f32,
    /// Milliseconds a request stays.
    pub response: f32,
    /// Milliseconds it is served.
    pub service: f32,
    /// Milliseconds it waits.
    pub wait: f32,
}

/// Solves the queue: requests arrive at `arrival` per millisecond, leave at `rates[n - 1]` while n are served, and up to
/// `max_queue` wait for the `rates.len()` that can be served.
///
/// With rates 1, 2, 3, room for two to wait and 0.5 arriving: nobody is there with probability 0.606, and a request waits
/// for 0.0056.
///
/// # Errors
///
/// When nobody can be served, or there is room for one request only.
pub fn solve(arrival: f32, rates: &[f32], max_queue: u32) -> Result<State, Error> {
    let most = u32::try_from(rates.len()).map_err(|_| Error::Invalid)?;
    let room = most.saturating_add(max_queue);
    let Some(last) = rates.last() else { return Err(Error::Invalid) };
    if room < 2 {
        return Err(Error::NoRoom);
    }
    // Then the weights only fall from where they begin to.
    let rising = rates.is_sorted();
    let mut sums = Sums { weight: 1.0, empty: 1.0, total: 1.0, in_system: 0.0, served: 0.0, up_to_most: 1.0 };
    for state in 1..=room {
        let rate = rates.get(state as usize - 1).unwrap_or(last);
        let ratio = f64::from(arrival) / f64::from(*rate);
        if !(sums.in_system + f64::from(state) * sums.weight * ratio).is_finite() {
            sums.scale();
        }
        sums.weight *= ratio;
        sums.total += sums.weight;
        let requests = f64::from(state) * sums.weight;
        sums.in_system += requests;
        if state <= most {
            sums.served += requests;
            sums.up_to_most += sums.weight;
        }
        let falls = ratio < 1.0 && (rising || state > most);
        if falls && sums.weight * f64::from(room) < sums.total * NEGLIGIBLE {
            // What is left changes no sum any more, and nobody finds the queue full.
            sums.weight = 0.0;
            break;
        }
    }
    let Sums { weight, empty, total, in_system, served, up_to_most } = sums;
    let in_system = in_system / total;
    let in_service = served / total + f64::from(most) * (1.0 - up_to_most / total);
    let full = weight / total;

    let (in_system, in_service) = (narrow(in_system), narrow(in_service));
    let throughput = arrival * (1.0 - narrow(full));
    let (response, service) = (in_system / throughput, in_service / throughput);
    let empty = empty / total;
    Ok(State { empty, in_system, in_service, throughput, response, service, wait: (response - service).max(0.0) })
}

/// Share of a sum below which a term is lost in rounding.
const NEGLIGIBLE: f64 = 1e-20;
/// What all sums are multiplied by when one of them grows too large.
const SCALE: f64 = 1e-200;

/// Sums over the states, by weights that add up to `total` instead of 1.
struct Sums {
    /// Of the last state.
    weight: f64,
    /// Of the state in which nobody is there.
    empty: f64,
    total: f64,
    /// Requests that are there.
    in_system: f64,
    /// Requests that are there in states in which nobody waits.
    served: f64,
    /// Weight of these states.
    up_to_most: f64,
}

impl Sums {
    fn scale(&mut self) {
        let Self { weight, empty, total, in_system, served, up_to_most } = self;
        for sum in [weight, empty, total, in_system, served, up_to_most] {
            *sum *= SCALE;
        }
    }
}

/// The nearest `f32`.
#[expect(clippy::cast_possible_truncation, reason = "the model computes in f32; only probabilities need more")]
pub(crate) fn narrow(value: f64) -> f32 {
    value as f32
}

/// Replicas that a rate of requests needs.
pub fn replicas(rate: f32, capacity: f32) -> u32 {
    let needed = crate::number::whole((f64::from(rate) / f64::from(capacity)).ceil());
    u32::try_from(needed).unwrap_or(u32::MAX)
}
