//! Functions that Helm has and we refuse: keys, certificates, hashes of passwords, TOML.
//!
//! They pull in much for little; a chart that needs one is told so by name.

use crate::fault::Fault;

pub(super) const NAMES: &[&str] = &[
    "bcrypt",
    "buildCustomCert",
    "call",
    "decryptAES",
    "derivePassword",
    "encryptAES",
    "fromToml",
    "genCA",
    "genCAWithKey",
    "genPrivateKey",
    "genSelfSignedCert",
    "genSelfSignedCertWithKey",
    "genSignedCert",
    "genSignedCertWithKey",
    "htpasswd",
    "mustToToml",
    "toToml",
];

pub(super) fn refuse(name: &str) -> Fault {
    Fault::new(format!("chart-render does not support the template function {name:?}; render this chart with helm"))
}
