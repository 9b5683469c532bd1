//! chart-render and the project's chart, tested against real helm.

mod chart_contract;
mod chart_legacy;
mod chart_names;
mod chart_readme;
mod chart_schemas;
mod chart_values;
mod check;
mod cli;
mod docs;
mod expressions;
mod fleet;
mod foreign;
mod helm;
mod numbers;
mod parity;
mod random;
mod settings;
mod yaml_forms;
