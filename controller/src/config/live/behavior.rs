//! What an entry says of how long, and how fast, numbers may change: an HPA's `behavior`, kept by the controller.

use std::time::Duration;

use wva_engine::settings::{Direction, Policy, Stabilization};

use super::fields::Fields;
use super::resolve::signed;
use crate::config::value;

/// Names of the fields of one direction.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    window: &'static str,
    tolerance: &'static str,
    replicas: &'static str,
    percent: &'static str,
}

/// Scaling up.
pub const UP: Names = Names {
    window: "scaleUpStabilizationWindow",
    tolerance: "scaleUpTolerance",
    replicas: "scaleUpReplicas",
    percent: "scaleUpPercent",
};

/// Scaling down.
pub const DOWN: Names = Names {
    window: "scaleDownStabilizationWindow",
    tolerance: "scaleDownTolerance",
    replicas: "scaleDownReplicas",
    percent: "scaleDownPercent",
};

/// One direction, as far as an entry says it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Behavior {
    /// See [`Direction::window`].
    pub window: Option<Duration>,
    /// See [`Direction::tolerance`].
    pub tolerance: Option<f64>,
    /// See [`Direction::replicas`].
    pub replicas: Option<Policy>,
    /// See [`Direction::percent`].
    pub percent: Option<Policy>,
}

impl Behavior {
    /// Takes the fields of one direction.
    ///
    /// # Errors
    /// When one of them makes no sense.
    pub fn read(fields: &mut Fields, names: Names) -> Result<Self, String> {
        let Names { window, tolerance, replicas, percent } = names;
        Ok(Self {
            window: self::window(fields, window)?,
            tolerance: fields.share(tolerance)?,
            replicas: policy(fields, replicas)?,
            percent: policy(fields, percent)?,
        })
    }

    fn over(&self, inherited: Direction) -> Direction {
        Direction {
            window: self.window.map_or(inherited.window, signed),
            tolerance: self.tolerance.unwrap_or(inherited.tolerance),
            replicas: self.replicas.or(inherited.replicas),
            percent: self.percent.or(inherited.percent),
        }
    }
}

/// What two directions say, and of the rest what they inherit.
pub fn over(up: &Behavior, down: &Behavior, inherited: Stabilization) -> Stabilization {
    Stabilization { up: up.over(inherited.up), down: down.over(inherited.down) }
}

fn window(fields: &mut Fields, name: &'static str) -> Result<Option<Duration>, String> {
    let Some(text) = fields.text(&[name]) else { return Ok(None) };
    value::parse_duration(&text).map(Some).map_err(|why| format!("`{name}: {text}` is not a duration: {why}"))
}

/// A number in a period: `4/60s`.
fn policy(fields: &mut Fields, name: &'static str) -> Result<Option<Policy>, String> {
    let Some(text) = fields.text(&[name]) else { return Ok(None) };
    let wrong = |why: &str| format!("`{name}: {text}` is not a number in a period, like `4/60s`: {why}");
    let (value, period) = text.split_once('/').ok_or_else(|| wrong("there is no `/`"))?;
    let value = value.trim().parse().map_err(|why| wrong(&format!("{why}")))?;
    let period = value::parse_duration(period.trim()).map_err(|why| wrong(&why))?;
    if value == 0 || period.is_zero() {
        return Err(wrong("neither may be 0"));
    }
    Ok(Some(Policy { value, period: signed(period) }))
}
