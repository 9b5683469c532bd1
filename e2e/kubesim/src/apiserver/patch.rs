//! The three patches that are plain functions of object and patch; server-side apply is a module of its own.

mod json;
mod strategic;

/// RFC 7386: objects merge, `null` removes, everything else replaces.
pub(super) use ::json_patch::merge as merge_patch;

pub(super) use self::json::json_patch;
pub(super) use self::strategic::strategic_merge_patch;
