//! What came of runs, to read: a table, one page, drawings.

mod charts;
mod page;
mod svg;
mod table;

pub use self::page::{front_drawing, page, replicas_drawing};
pub(crate) use self::table::aligned;
pub use self::table::table;
use crate::number::float;

/// Places of the points that no other is better than in both: a lower first and a higher second number.
pub fn pareto(points: &[(f64, f64)]) -> Vec<usize> {
    let is_beaten =
        |(cost, kept): &(f64, f64)| points.iter().any(|(c, k)| c <= cost && k >= kept && (c < cost || k > kept));
    (0..points.len()).filter(|place| !is_beaten(&points[*place])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_is_what_nobody_beats_in_both() {
        let points = [(10.0, 90.0), (12.0, 95.0), (11.0, 85.0), (12.0, 94.0), (20.0, 95.0), (9.0, 10.0)];
        assert_eq!(pareto(&points), [0, 1, 5]);
    }
}
