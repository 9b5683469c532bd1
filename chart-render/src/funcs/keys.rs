//! Private keys, new ones and those that a chart brings along, as PEM.

use dsa::{Components, KeySize, SigningKey};
use getrandom::SysRng;
use p256::SecretKey;
use p256::pkcs8::EncodePrivateKey as _;
use p256::pkcs8::der::asn1::UintRef;
use p256::pkcs8::der::{Encode as _, pem};
use rcgen::KeyPair;
use rsa::PrivateKey;
use rsa::pkcs1::{DecodeRsaPrivateKey as _, EncodeRsaPrivateKey as _};
use rsa::pkcs8::LineEnding;
use rsa::rand_core::UnwrapErr;

use super::{Call, Entry, text};
use crate::fault::Fault;

pub(super) const TABLE: &[Entry] = &[("genPrivateKey", 1, Some(1), |call| text(generate(call)?))];

/// Bits of the keys that `genPrivateKey` makes; those of certificates have half as many.
const LONG: usize = 4096;
const SHORT: usize = 2048;

fn generate(call: &Call<'_>) -> Result<String, Fault> {
    match &*call.str(0)? {
        "" | "rsa" => rsa(LONG),
        "ecdsa" => elliptic(),
        "ed25519" => edwards(),
        "dsa" => signature_standard(),
        other => Ok(format!("Unknown type {other}")),
    }
}

/// The key of a certificate.
pub(super) fn for_certificate() -> Result<String, Fault> {
    rsa(SHORT)
}

fn rsa(bits: usize) -> Result<String, Fault> {
    let key = PrivateKey::new(&mut UnwrapErr(SysRng), bits).map_err(failed("generate a private key"))?;
    Ok(key.to_pkcs1_pem(LineEnding::LF).map_err(failed("encode a private key"))?.to_string())
}

/// A key on the curve P-256.
fn elliptic() -> Result<String, Fault> {
    loop {
        let mut scalar = [0; 32];
        super::random::fill(&mut scalar)?;
        // Hardly ever, a number is none of the curve.
        if let Ok(key) = SecretKey::from_slice(&scalar) {
            return Ok(key.to_sec1_pem(LineEnding::LF).map_err(failed("encode a private key"))?.to_string());
        }
    }
}

/// A DSA key of 2048 and 256 bits as OpenSSL writes it: version, p, q, g, public and private part.
fn signature_standard() -> Result<String, Fault> {
    let mut random = UnwrapErr(SysRng);
    let components = Components::try_generate_from_rng_with_key_size(&mut random, KeySize::DSA_2048_256)
        .map_err(failed("generate a private key"))?;
    let key = SigningKey::try_generate_from_rng_with_components(&mut random, components)
        .map_err(failed("generate a private key"))?;
    let (public, components) = (key.verifying_key(), key.verifying_key().components());
    let numbers = [
        Box::default(),
        components.p().to_be_bytes(),
        components.q().to_be_bytes(),
        components.g().to_be_bytes(),
        public.y().to_be_bytes(),
        key.x().to_be_bytes(),
    ];
    let encoding = failed("encode a private key");
    let numbers: Vec<UintRef<'_>> =
        numbers.iter().map(|number| UintRef::new(number)).collect::<Result<_, _>>().map_err(&encoding)?;
    let der = numbers.to_der().map_err(&encoding)?;
    pem::encode_string("DSA PRIVATE KEY", LineEnding::LF, &der).map_err(failed("encode a private key"))
}

/// What stands before the 32 bytes of an Ed25519 key in PKCS #8 (RFC 8410, section 7).
const ED25519_HEAD: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

fn edwards() -> Result<String, Fault> {
    let mut key = [0; 32];
    super::random::fill(&mut key)?;
    pem::encode_string("PRIVATE KEY", LineEnding::LF, &[&ED25519_HEAD[..], &key].concat())
        .map_err(failed("encode a private key"))
}

/// A key that signs, from any PEM that helm reads.
pub(super) fn read(pem: &str) -> Result<KeyPair, Fault> {
    let doing = "error parsing private key";
    let pkcs8 = match pem.split_once("-----BEGIN ").and_then(|(_, rest)| rest.split_once("-----")).map(|(kind, _)| kind)
    {
        Some("RSA PRIVATE KEY") => PrivateKey::from_pkcs1_pem(pem).map_err(failed(doing))?.to_pkcs8_der(),
        Some("EC PRIVATE KEY") => SecretKey::from_sec1_pem(pem).map_err(failed(doing))?.to_pkcs8_der(),
        Some("PRIVATE KEY") => {
            return KeyPair::from_pem(pem).map_err(failed(doing));
        }
        Some(other) => return Err(Fault::new(format!("{doing}: invalid private key type {other}"))),
        None => return Err(Fault::new("no PEM data in input")),
    };
    let der = pkcs8.map_err(failed(doing))?;
    KeyPair::try_from(der.as_bytes()).map_err(failed(doing))
}

/// A failure while doing something.
pub(super) fn failed<E: std::fmt::Display>(doing: &'static str) -> impl Fn(E) -> Fault {
    move |error| Fault::new(format!("{doing}: {error}"))
}
