//! How long a server computes.

use serde::{Deserialize, Serialize};

/// Milliseconds an iteration of a server takes, as three parameters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceTime {
    /// Of every iteration, α.
    pub alpha: f32,
    /// Per token computed, β.
    pub beta: f32,
    /// Per token held in memory, γ.
    pub gamma: f32,
}

/// Average size of a request, in tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RequestSize {
    /// Of its prompt.
    pub input: f32,
    /// Of its answer; at least 1.
    pub output: f32,
}

impl ServiceTime {
    /// An iteration that serves `batch` requests: α + n·(β·(I + O)/(O + 1) + γ·(I + O/2)).
    fn iteration(self, batch: f32, request: RequestSize) -> f32 {
        let RequestSize { input, output } = request;
        let computed = (input + output) / (output + 1.0);
        let held = input + output / 2.0;
        self.alpha + batch * (self.beta * computed + self.gamma * held)
    }

    /// Computing a prompt: an iteration and (β + γ)·I; nothing without a prompt.
    pub fn prefill(self, batch: f32, request: RequestSize) -> f32 {
        if request.input == 0.0 {
            return 0.0;
        }
        self.iteration(batch, request) + (self.beta + self.gamma) * request.input
    }

    /// Generating a token: an iteration and β + γ·(I + O/2).
    pub fn decode(self, batch: f32, request: RequestSize) -> f32 {
        let RequestSize { input, output } = request;
        self.iteration(batch, request) + self.beta + self.gamma * (input + output / 2.0)
    }

    /// Requests per millisecond that leave while `batch` are served.
    pub fn rate(self, batch: f32, request: RequestSize) -> f32 {
        batch / (self.prefill(batch, request) + request.output * self.decode(batch, request))
    }
}

/// A number of requests; exact up to 2²⁴, and no server batches as many.
#[expect(clippy::cast_precision_loss, reason = "beyond 2^24 requests a rounded number decides the same")]
pub(crate) fn real(count: u32) -> f32 {
    count as f32
}
