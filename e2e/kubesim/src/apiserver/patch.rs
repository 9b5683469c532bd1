//! The three patches that are plain functions of object and patch; server-side apply is a module of its own.

mod json;
mod merge;
mod strategic;

pub(super) use self::json::json_patch;
pub(super) use self::merge::merge_patch;
pub(super) use self::strategic::strategic_merge_patch;
