//! Mistakes on purpose: `WVA_MUTATION` names one that this build makes, so that it can be seen that the suites find it
//! (`make mutations`). Only with the feature of the same name; a build without it has none of them and reads nothing.

/// Whether this process makes the mistake of this name.
#[cfg(feature = "mutations")]
pub(crate) fn is(name: &str) -> bool {
    std::env::var("WVA_MUTATION").is_ok_and(|mutation| mutation == name)
}

/// No build of ours makes mistakes.
#[cfg(not(feature = "mutations"))]
pub(crate) const fn is(_name: &str) -> bool {
    false
}
