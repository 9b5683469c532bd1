//! A small HTTP load generator.
