//! Who decides: the analyzer, which sees saturation, or the forecast, which sees what arrives.

/// What is asked for one variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Positions {
    /// Replicas it has.
    pub current: u32,
    /// Replicas that the analyzer asks for.
    pub analyzer: u32,
    /// Replicas that the forecast asks for.
    pub forecast: u32,
    /// Whether the analyzer would let replicas of the model go.
    pub safe: bool,
}

/// Who decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The analyzer.
    Analyzer,
    /// The forecast.
    Forecast,
    /// Neither: the forecast would let replicas go while the analyzer asks for more, or thinks it unsafe.
    Vetoed,
    /// Neither: the analyzer would let replicas go that the forecast needs.
    Needed,
}

/// Decides between the two.
///
/// | analyzer | forecast | replicas |
/// |---|---|---|
/// | more | fewer | those there are |
/// | unsafe | fewer | those there are |
/// | more | as many | the analyzer's |
/// | more | more | the higher of the two |
/// | otherwise | more or fewer | the forecast's |
/// | otherwise | as many | those there are |
///
/// The first row that fits holds. When both ask for more, the Go controller took the forecast's number even when that was
/// the lower one; here saturation that is seen is never answered with less than it asks for.
pub fn arbitrate(positions: Positions) -> (u32, Verdict) {
    let Positions { current, analyzer, forecast, safe } = positions;
    if forecast < current && (analyzer > current || !safe) {
        (current, Verdict::Vetoed)
    } else if analyzer > current && analyzer >= forecast {
        (analyzer, Verdict::Analyzer)
    } else if forecast != current {
        (forecast, Verdict::Forecast)
    } else if analyzer < current {
        (current, Verdict::Needed)
    } else {
        (current, Verdict::Analyzer)
    }
}
