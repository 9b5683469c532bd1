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
    let mut weights = Vec::with_capacity(1 + room as usize);
    let mut weight = 1.0_f64;
    weights.push(weight);
    for served in 0..room as usize {
        let next = weight * f64::from(arrival) / f64::from(*rates.get(served).unwrap_or(last));
        if next.is_finite() {
            weight = next;
        } else {
            let scale = f64::MAX / f64::from(room);
            for it in &mut weights {
                *it /= scale;
            }
            weight = weight / scale * f64::from(arrival) / f64::from(*rates.get(served).unwrap_or(last));
        }
        weights.push(weight);
    }
    let total: f64 = weights.iter().sum();
    let states = || (0_u32..).zip(weights.iter().map(|weight| weight / total));

    let in_system: f64 = states().map(|(requests, p)| f64::from(requests) * p).sum();
    let (served, up_to_most) = states()
        .take_while(|(requests, _)| *requests <= most)
        .fold((0.0, 0.0), |(served, all), (requests, p)| (served + f64::from(requests) * p, all + p));
    let in_service = served + f64::from(most) * (1.0 - up_to_most);
    let full = weights.last().map_or(0.0, |weight| weight / total);

    let (in_system, in_service) = (narrow(in_system), narrow(in_service));
    let throughput = arrival * (1.0 - narrow(full));
    let (response, service) = (in_system / throughput, in_service / throughput);
    let empty = weights.first().map_or(0.0, |weight| weight / total);
    Ok(State { empty, in_system, in_service, throughput, response, service, wait: (response - service).max(0.0) })
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
