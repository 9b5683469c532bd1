//! What a user can ask for, one module a command.
//!
//! - [`add_model`]: a model-only install: facts, then a plan, then the chart rendered, then applied; [`remove_model`]: the
//!   way back; [`list_models`]: what there is;
//! - [`mod@set`]: cost, model and limits changed; [`move_variant`]: a variant handed over to another controller instance;
//!   [`mod@pause`]: variants held at a number, and let go again;
//! - [`status`]: a verdict per controller instance, then the variants; [`instances`]: every controller and what it takes;
//! - [`explain`]: the chain from the servers to the replicas of one variant, with the numbers of the last decision;
//!   [`replay`]: a decision taken again; [`simulate`]: what policies would make of another load; [`history`]: what was decided of one variant before;
//! - [`cost`]: what variants and models cost, and the cheapest mix; [`top`]: variants in order of load, change or cost;
//!   [`logs`]: what the leader says of one;
//! - [`dashboard`]: all of this in one page in the browser;
//! - [`doctor`]: every known cause of trouble, with what fixes it; [`report`]: a zip for whoever helps;
//! - [`preflight`]: what a cluster lacks before an install; [`release`]: the controller installed, upgraded and uninstalled
//!   as helm does it, helm's record included; [`migrate`]: from the releases 0.4.1 to 0.5.1 to this one, and back;
//! - [`render`]: the chart as text; [`complete`]: shell completion; [`version`]: of this program, of its chart, of the
//!   controllers.

pub mod add_model;
pub mod complete;
pub mod cost;
pub mod dashboard;
pub mod doctor;
pub mod explain;
pub mod history;
pub mod instances;
pub mod list_models;
pub mod logs;
pub mod migrate;
pub mod move_variant;
pub mod pause;
pub mod preflight;
pub mod release;
pub mod remove_model;
pub mod render;
pub mod replay;
pub mod report;
pub mod set;
pub mod simulate;
pub mod status;
pub mod top;
pub mod version;
