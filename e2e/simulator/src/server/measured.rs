//! Service times from a table of measurements.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::Server;
use crate::number::float;
use crate::outcome::median;

/// A table of measurements, CSV with the columns of the Splitwise simulator: `model`, `hardware`, `prompt_size`, `batch_size`,
/// `token_size`, `prompt_time`, `token_time`, `tensor_parallel`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Table {
    /// File, relative to where the simulator runs.
    pub file: String,
    /// Model whose rows count.
    pub model: String,
    /// Hardware whose rows count.
    pub hardware: String,
    /// GPUs in tensor parallel whose rows count.
    pub tensor_parallel: u32,
    /// In which unit times are.
    pub times: Times,
}

/// In which unit a table's times are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Times {
    /// Milliseconds; `token_time` is that of one token.
    MillisecondsPerToken,
    /// Seconds; `token_time` is that of the whole answer.
    SecondsPerAnswer,
}

/// Coefficients that fit a table, and how well.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// Milliseconds of every iteration, per token computed, and per token held.
    pub coefficients: [f64; 3],
    /// Half of the measurements are off by no more than this share.
    pub median_error: f64,
    /// Measurements.
    pub rows: usize,
}

/// A measurement: an iteration that computed tokens while others were held took a time.
struct Row {
    terms: [f64; 3],
    ms: f64,
}

impl Table {
    /// The coefficients that fit the rows best: least squares of relative errors, none below 0. `None` when too few rows are
    /// of this model, hardware and parallelism.
    pub fn fit(&self, text: &str) -> Option<Fit> {
        let rows = self.rows(text);
        let mut used = [true; 3];
        let mut coefficients = solve(&rows, used)?;
        // What comes out below 0 is no time: without it the others take its part.
        while let Some(negative) = (0..3).find(|term| coefficients[*term] < 0.0) {
            used[negative] = false;
            coefficients = solve(&rows, used)?;
        }
        let estimate = |row: &Row| row.terms.iter().zip(coefficients).map(|(term, each)| term * each).sum::<f64>();
        let median_error = median(rows.iter().map(|row| (estimate(row) / row.ms - 1.0).abs()));
        Some(Fit { coefficients, median_error, rows: rows.len() })
    }

    fn rows(&self, text: &str) -> Vec<Row> {
        let mut lines = text.lines();
        let head = lines.next().unwrap_or_default();
        let columns: HashMap<&str, usize> = head.split(',').map(str::trim).zip(0..).collect();
        let mut rows = Vec::new();
        for line in lines {
            let fields: Vec<&str> = line.split(',').map(str::trim).collect();
            let field = |name: &str| fields.get(*columns.get(name)?).copied();
            let number = |name: &str| field(name)?.parse::<f64>().ok().filter(|value| *value > 0.0);
            let is_mine = field("model") == Some(&*self.model)
                && field("hardware") == Some(&*self.hardware)
                && field("tensor_parallel") == Some(&*self.tensor_parallel.to_string());
            let sizes = (number("prompt_size"), number("batch_size"), number("token_size"));
            let (true, (Some(prompt), Some(batch), Some(output))) = (is_mine, sizes) else { continue };
            let (per_prompt, per_token) = match self.times {
                Times::MillisecondsPerToken => (1.0, 1.0),
                Times::SecondsPerAnswer => (1000.0, 1000.0 / output),
            };
            let tokens = prompt * batch;
            if let Some(time) = number("prompt_time") {
                rows.push(Row { terms: [1.0, tokens, tokens], ms: time * per_prompt });
            }
            if let Some(time) = number("token_time") {
                rows.push(Row { terms: [1.0, batch, batch * (prompt + output / 2.0)], ms: time * per_token });
            }
        }
        rows
    }
}

impl Server {
    /// This server with fitted service times.
    #[must_use]
    pub fn with(self, fit: Fit) -> Self {
        let [alpha_ms, beta_ms, gamma_ms] = fit.coefficients;
        Self { alpha_ms, beta_ms, gamma_ms, ..self }
    }
}

/// Least squares of relative errors by the normal equations; terms that are not used are 0.
fn solve(rows: &[Row], used: [bool; 3]) -> Option<[f64; 3]> {
    if rows.len() < 3 {
        return None;
    }
    let mut system = [[0.0; 4]; 3];
    for Row { terms, ms } in rows {
        for (line, term) in system.iter_mut().zip(terms) {
            for (cell, other) in line.iter_mut().zip(terms.iter().chain([ms])) {
                *cell += term * other / (ms * ms);
            }
        }
    }
    for term in (0..3).filter(|term| !used[*term]) {
        for line in &mut system {
            line[term] = 0.0;
        }
        system[term] = [0.0; 4];
        system[term][term] = float(rows.len());
    }
    // Gauss and Jordan, the largest pivot first.
    for column in 0..3 {
        let pivot = (column..3).max_by(|a, b| system[*a][column].abs().total_cmp(&system[*b][column].abs()))?;
        system.swap(column, pivot);
        let line = system[column];
        if line[column].abs() < 1e-30 {
            return None;
        }
        for other in (0..3).filter(|other| *other != column) {
            let factor = system[other][column] / line[column];
            for (cell, by) in system[other].iter_mut().zip(line) {
                *cell -= factor * by;
            }
        }
    }
    Some([0, 1, 2].map(|term| system[term][3] / system[term][term]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coefficients_are_found_again_in_a_table_made_with_them() {
        let head = "model,hardware,prompt_size,batch_size,token_size,prompt_time,token_time,tensor_parallel";
        let row = |(prompt, batch): (f64, f64)| {
            let prompt_time = 10.0 + 0.08 * prompt * batch;
            let token_time = 10.0 + 0.079 * batch + 0.001 * batch * (prompt + 64.0);
            format!("m,a100,{prompt},{batch},128,{prompt_time},{token_time},2\nother,a100,1,1,1,9,9,2")
        };
        let rows = [(512.0, 1.0), (512.0, 8.0), (1024.0, 4.0), (2048.0, 16.0)].map(row);
        let text = format!("{head}\n{}", rows.join("\n"));
        let table = Table {
            file: String::new(),
            model: "m".to_owned(),
            hardware: "a100".to_owned(),
            tensor_parallel: 2,
            times: Times::MillisecondsPerToken,
        };
        let fit = table.fit(&text).unwrap();
        assert_eq!(fit.coefficients.map(|it| format!("{it:.4}")), ["10.0000", "0.0790", "0.0010"]);
        assert_eq!((fit.rows, fit.median_error < 1e-9), (8, true));
        assert!(Table { tensor_parallel: 4, ..table }.fit(&text).is_none());
    }
}
