//! Snapshots written as sentences, and a clock to tell stories with.
//!
//! ```
//! use wva_engine::fixtures::{Script, model, variant};
//!
//! let mut script = Script::new();
//! let busy = model("llama").with(variant("a100").cost(40.0).ready(2, (0.78, 4.0)));
//! assert_eq!(script.cycle([busy])["a100"], 3);
//! ```

mod builders;
mod script;

pub use self::builders::{
    EARLIER, MODEL, ModelBuilder, NAMESPACE, START, VariantBuilder, model, reading, snapshot, variant,
};
pub use self::script::{Cycle, Script};
