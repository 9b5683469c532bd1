//! Certificates, made anew on every run: `genCA` and its kin.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber,
};

use super::keys::{self, failed};
use super::{Call, Entry};
use crate::bytes;
use crate::fault::Fault;
use crate::value::{Object, Struct, Value};

pub(super) const TABLE: &[Entry] = &[
    ("genCA", 2, Some(2), |call| authority(call, &keys::for_certificate()?)),
    ("genCAWithKey", 3, Some(3), |call| authority(call, &call.str(2)?)),
    ("genSelfSignedCert", 4, Some(4), |call| self_signed(call, &keys::for_certificate()?)),
    ("genSelfSignedCertWithKey", 5, Some(5), |call| self_signed(call, &call.str(4)?)),
    ("genSignedCert", 5, Some(5), |call| signed(call, &keys::for_certificate()?)),
    ("genSignedCertWithKey", 6, Some(6), |call| signed(call, &call.str(5)?)),
    ("buildCustomCert", 2, Some(2), custom),
];

/// Sprig's type, which its other functions ask for.
const TYPE: &str = "sprig.certificate";

/// What a template sees: `.Cert` and `.Key`, both PEM.
fn certificate(cert: &str, key: &str) -> Value {
    let fields = vec![("Cert", "Cert", Value::str(cert)), ("Key", "Key", Value::str(key))];
    Value::Object(Object::Struct(Rc::new(Struct { go_type: TYPE, fields })))
}

fn authority(call: &Call<'_>, key: &str) -> Result<Value, Fault> {
    let mut params = params(&call.str(0)?, &[], &[], call.int(1)?)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages.push(KeyUsagePurpose::KeyCertSign);
    let cert = params.self_signed(&keys::read(key)?).map_err(failed("error creating certificate"))?;
    Ok(certificate(&cert.pem(), key))
}

fn self_signed(call: &Call<'_>, key: &str) -> Result<Value, Fault> {
    let params = params(&call.str(0)?, &call.items(1)?, &call.items(2)?, call.int(3)?)?;
    let cert = params.self_signed(&keys::read(key)?).map_err(failed("error creating certificate"))?;
    Ok(certificate(&cert.pem(), key))
}

fn signed(call: &Call<'_>, key: &str) -> Result<Value, Fault> {
    let mut params = params(&call.str(0)?, &call.items(1)?, &call.items(2)?, call.int(3)?)?;
    params.use_authority_key_identifier_extension = true;
    let issuer = issuer(&call.any(4))?;
    let cert = params.signed_by(&keys::read(key)?, &issuer).map_err(failed("error creating certificate"))?;
    Ok(certificate(&cert.pem(), key))
}

/// The authority that signs, out of what `genCA` or `buildCustomCert` gave.
fn issuer(authority: &Value) -> Result<Issuer<'static, KeyPair>, Fault> {
    let Value::Object(Object::Struct(object)) = authority else { return Err(super::wrong_type(TYPE, authority)) };
    let [(_, _, Value::Str(cert)), (_, _, Value::Str(key))] = object.fields.as_slice() else {
        return Err(super::wrong_type(TYPE, authority));
    };
    Issuer::from_ca_cert_pem(cert, keys::read(key)?).map_err(failed("unable to parse certificate"))
}

/// What every certificate of Sprig has.
fn params(name: &str, addresses: &[Value], names: &[Value], days: i64) -> Result<CertificateParams, Fault> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::ExplicitNoCa;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    for alternative in names {
        let Value::Str(alternative) = alternative else {
            return Err(Fault::new("error processing alternate dns name: it is not a string"));
        };
        let alternative = alternative.to_string().try_into().map_err(failed("error processing alternate dns name"))?;
        params.subject_alt_names.push(SanType::DnsName(alternative));
    }
    for address in addresses {
        let Value::Str(address) = address else { return Err(Fault::new("error parsing ip: it is not a string")) };
        let parsed: IpAddr = address.parse().map_err(|_| Fault::new(format!("error parsing ip: {address}")))?;
        params.subject_alt_names.push(SanType::IpAddress(parsed));
    }
    let mut serial = [0; 16];
    super::random::fill(&mut serial)?;
    // A serial number is positive.
    serial[0] &= 0x7f;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(failed("read the clock"))?;
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(now.as_secs());
    let span = Duration::from_secs(days.unsigned_abs().saturating_mul(24 * 60 * 60));
    let out_of_range = || Fault::new(format!("error creating certificate: {days} days are too many"));
    // Beyond this a date of a certificate has no form.
    if span.as_secs() > 7000 * 365 * 24 * 60 * 60 || days < -1000 * 365 {
        return Err(out_of_range());
    }
    params.not_after = if days < 0 { params.not_before - span } else { params.not_before + span };
    Ok(params)
}

/// A certificate of the chart's own, both parts in base64.
fn custom(call: &Call<'_>) -> Result<Value, Fault> {
    let decoded = |index: usize, what: &'static str| {
        let encoded: Vec<u8> = call.str(index)?.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
        STANDARD.decode(encoded).map(|data| bytes::to_text(&data)).map_err(failed(what))
    };
    let cert = decoded(0, "unable to decode base64 certificate")?;
    let key = decoded(1, "unable to decode base64 private key")?;
    let pair = keys::read(&key)?;
    Issuer::from_ca_cert_pem(&cert, pair).map_err(failed("unable to decode certificate"))?;
    Ok(certificate(&cert, &key))
}
