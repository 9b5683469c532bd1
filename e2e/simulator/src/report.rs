//! What came of runs, to read: a table, JSON, one page.

mod table;

pub use self::table::table;
