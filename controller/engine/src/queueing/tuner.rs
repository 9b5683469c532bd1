//! Finding out how long a server computes from what its requests see: an extended Kalman filter.
//!
//! The state is (α, β, γ); what is observed are the times to the first token and between tokens at one rate of requests.
//! Each observation pulls the state towards what explains it, the more the less is known yet. One that does not fit (a
//! server that has just started, a burst) changes nothing, and so does one that would lead to a time of 0 or less.

use serde::{Deserialize, Serialize};

use super::queue::narrow;
use super::{Replica, RequestSize, ServiceTime};

/// 97.5 % of observations that fit lie below this (χ² with two degrees of freedom).
const GATE: f64 = 7.378;
/// Variance of an observation as a share of its square: 5 % error at 1.96 deviations, and a hundred times that for what the
/// model does not know of.
const NOISE: f64 = (0.05 / 1.96) * (0.05 / 1.96) / 0.01;
/// Share by which a parameter may wander between two observations.
const DRIFT: f64 = 0.05;
/// Share by which the first guess may be wrong.
const DOUBT: f64 = 0.5;
/// Share of a parameter by which it is moved to see what comes of it.
const STEP: f64 = 0.01;
/// γ is about this share of β, where nothing else tells them apart.
const MEMORY_SHARE: f64 = 0.01;
/// Observations that must have fitted before the state is used.
const TRUSTED_AFTER: u32 = 5;
/// Observations in a row that did not fit after which everything starts again: the server is another one.
const LOST_AFTER: u32 = 5;

type Vector<const N: usize> = [f64; N];

/// What the requests of one replica see on average.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    /// Requests it gets per second.
    pub rate: f64,
    /// Tokens of a prompt.
    pub input: f64,
    /// Tokens of an answer.
    pub output: f64,
    /// Requests it serves together.
    pub max_batch: u32,
    /// Milliseconds to the first token.
    pub ttft_ms: f64,
    /// Milliseconds between two tokens.
    pub itl_ms: f64,
}

/// What was found out so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tuner {
    /// α, β and γ.
    state: Vector<3>,
    /// How uncertain they are, and together with which others.
    covariance: [Vector<3>; 3],
    /// Variance added between two observations.
    drift: Vector<3>,
    /// Observations that fitted.
    fitted: u32,
    /// Observations that did not, since the last one that did.
    missed: u32,
}

impl Tuner {
    /// Starts from what one observation lets one guess; `None` when it says nothing.
    ///
    /// A prompt takes about β·(I − 1) longer than a token, and what neither explains is α.
    pub fn start(observation: &Observation) -> Option<Self> {
        let Observation { rate, input, output, ttft_ms, itl_ms, max_batch: _ } = *observation;
        let all = [rate, input, output, ttft_ms, itl_ms];
        if all.iter().any(|value| !value.is_finite() || *value <= 0.0) || output < 1.0 {
            return None;
        }
        let together = rate * (ttft_ms + output * itl_ms) / 1000.0;
        let computed = (input + output) / (output + 1.0);
        let held = input + output / 2.0;
        let beta = ((ttft_ms - itl_ms) / input.max(2.0)).max(0.001 * itl_ms / computed);
        let gamma = MEMORY_SHARE * beta;
        let alpha = (itl_ms - (together + 1.0) * (beta * computed + gamma * held)).max(0.2 * itl_ms);
        let state = [alpha, beta, gamma];
        let diagonal = |share: f64| state.map(|value| (share * value) * (share * value));
        let [a, b, c] = diagonal(DOUBT);
        let covariance = [[a, 0.0, 0.0], [0.0, b, 0.0], [0.0, 0.0, c]];
        Some(Self { state, covariance, drift: diagonal(DRIFT), fitted: 0, missed: 0 })
    }

    /// What was found out, once enough observations agree.
    pub fn trusted(&self) -> Option<ServiceTime> {
        (self.fitted >= TRUSTED_AFTER).then(|| service(&self.state))
    }

    /// Whether nothing fits any more.
    pub fn is_lost(&self) -> bool {
        self.missed >= LOST_AFTER
    }

    /// Takes an observation into account. Returns whether it fitted.
    pub fn observe(&mut self, observation: &Observation) -> bool {
        let Some((state, covariance)) = self.updated(observation) else {
            self.missed = self.missed.saturating_add(1);
            return false;
        };
        (self.state, self.covariance) = (state, covariance);
        (self.fitted, self.missed) = (self.fitted.saturating_add(1), 0);
        true
    }

    fn updated(&self, observation: &Observation) -> Option<(Vector<3>, [Vector<3>; 3])> {
        let Observation { ttft_ms, itl_ms, .. } = *observation;
        let measured = [ttft_ms, itl_ms];
        let expected = expect(&self.state, observation)?;
        let [dt, di] = jacobian(&self.state, observation)?;

        let mut predicted = self.covariance;
        for (row, (at, drift)) in predicted.iter_mut().zip(self.drift.iter().enumerate()) {
            *row.get_mut(at)? += drift;
        }
        // The columns of P·Hᵀ, and S = H·P·Hᵀ + R with its inverse.
        let (to_ttft, to_itl) = (times(&predicted, &dt), times(&predicted, &di));
        let noise = measured.map(|value| NOISE * value * value);
        let variance = [dot(&dt, &to_ttft) + noise[0], dot(&di, &to_itl) + noise[1]];
        let both = dot(&dt, &to_itl);
        let determinant = variance[0] * variance[1] - both * both;
        if !determinant.is_finite() || determinant <= 0.0 {
            return None;
        }
        // Solves S·x = [first, second].
        let solve = |[first, second]: Vector<2>| {
            [(variance[1] * first - both * second) / determinant, (variance[0] * second - both * first) / determinant]
        };
        let miss = [measured[0] - expected[0], measured[1] - expected[1]];
        let weighed = solve(miss);
        if miss[0] * weighed[0] + miss[1] * weighed[1] >= GATE {
            return None;
        }
        let mut state = self.state;
        let mut covariance = predicted;
        for (row, value) in state.iter_mut().enumerate() {
            let seen = [*to_ttft.get(row)?, *to_itl.get(row)?];
            *value += seen[0] * weighed[0] + seen[1] * weighed[1];
            // S is symmetric: one row of the gain K = P·Hᵀ·S⁻¹ is S⁻¹ of the same row of P·Hᵀ. The rest is P − K·(P·Hᵀ)ᵀ.
            let gain = solve(seen);
            for (column, cell) in covariance.get_mut(row)?.iter_mut().enumerate() {
                *cell -= gain[0] * to_ttft.get(column)? + gain[1] * to_itl.get(column)?;
            }
        }
        state.iter().all(|value| value.is_finite() && *value > 0.0).then_some((state, covariance))
    }
}

fn service([alpha, beta, gamma]: &Vector<3>) -> ServiceTime {
    ServiceTime { alpha: narrow(*alpha), beta: narrow(*beta), gamma: narrow(*gamma) }
}

/// Times to the first token and between tokens that a state explains; `None` when the rate is more than it could serve.
fn expect(state: &Vector<3>, observation: &Observation) -> Option<Vector<2>> {
    let Observation { rate, input, output, max_batch, .. } = *observation;
    let request = RequestSize { input: narrow(input), output: narrow(output) };
    let found = Replica::new(service(state), request, max_batch).analyze(narrow(rate)).ok()?;
    Some([f64::from(found.wait + found.prefill), f64::from(found.itl)])
}

/// How both times change with each parameter, by moving it a little in both directions.
fn jacobian(state: &Vector<3>, observation: &Observation) -> Option<[Vector<3>; 2]> {
    let (mut ttft, mut itl) = ([0.0; 3], [0.0; 3]);
    for (at, value) in state.iter().enumerate() {
        let step = if *value == 0.0 { STEP } else { STEP * value.abs() };
        let moved = |by: f64| {
            let mut state = *state;
            *state.get_mut(at)? += by;
            expect(&state, observation)
        };
        let (above, below) = (moved(step)?, moved(-step)?);
        *ttft.get_mut(at)? = (above[0] - below[0]) / (2.0 * step);
        *itl.get_mut(at)? = (above[1] - below[1]) / (2.0 * step);
    }
    Some([ttft, itl])
}

fn times(matrix: &[Vector<3>; 3], vector: &Vector<3>) -> Vector<3> {
    matrix.map(|row| dot(&row, vector))
}

fn dot(a: &Vector<3>, b: &Vector<3>) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
