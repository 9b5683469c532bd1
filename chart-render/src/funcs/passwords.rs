//! Passwords: their hashes, passwords derived from a master password, and text encrypted with one.

use aes::Aes256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bcrypt::Version;
use cbc::cipher::block_padding::{NoPadding, Pkcs7};
use cbc::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use hmac::{Hmac, Mac as _};
use scrypt::Params;
use sha2::Sha256;

use super::keys::failed;
use super::{Call, Entry, text};
use crate::bytes;
use crate::fault::Fault;
use crate::value::Value;

pub(super) const TABLE: &[Entry] = &[
    ("bcrypt", 1, Some(1), |call| text(hash(&call.str(0)?)?)),
    ("htpasswd", 2, Some(2), |call| {
        let (user, password) = (call.str(0)?, call.str(1)?);
        if user.contains(':') {
            return text(format!("invalid username: {user}"));
        }
        text(format!("{user}:{}", hash(&password)?))
    }),
    ("derivePassword", 5, Some(5), derive),
    ("encryptAES", 2, Some(2), encrypt),
    ("decryptAES", 2, Some(2), decrypt),
];

/// The cost that Go takes without being told one.
const COST: u32 = 10;
/// Bytes of a password that bcrypt can take.
const LONGEST: usize = 72;

fn hash(password: &str) -> Result<String, Fault> {
    let password = bytes::of(password);
    if password.len() > LONGEST {
        return Ok(format!("failed to encrypt string with bcrypt: bcrypt: password length exceeds {LONGEST} bytes"));
    }
    let parts = bcrypt::hash_with_result(&password, COST).map_err(failed("hash a password"))?;
    Ok(parts.format_for_version(Version::TwoA))
}

/// What every salt and seed of the algorithm begins with.
const SEED: &[u8] = b"com.lyndir.masterpassword";

/// Of each kind of password the patterns it may have.
const PATTERNS: &[(&str, &[&str])] = &[
    ("maximum", &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"]),
    (
        "long",
        &[
            "CvcvnoCvcvCvcv",
            "CvcvCvcvnoCvcv",
            "CvcvCvcvCvcvno",
            "CvccnoCvcvCvcv",
            "CvccCvcvnoCvcv",
            "CvccCvcvCvcvno",
            "CvcvnoCvccCvcv",
            "CvcvCvccnoCvcv",
            "CvcvCvccCvcvno",
            "CvcvnoCvcvCvcc",
            "CvcvCvcvnoCvcc",
            "CvcvCvcvCvccno",
            "CvccnoCvccCvcv",
            "CvccCvccnoCvcv",
            "CvccCvccCvcvno",
            "CvcvnoCvccCvcc",
            "CvcvCvccnoCvcc",
            "CvcvCvccCvccno",
            "CvccnoCvcvCvcc",
            "CvccCvcvnoCvcc",
            "CvccCvcvCvccno",
        ],
    ),
    ("medium", &["CvcnoCvc", "CvcCvcno"]),
    ("short", &["Cvcn"]),
    ("basic", &["aaanaaan", "aannaaan", "aaannaaa"]),
    ("pin", &["nnnn"]),
];

/// The characters that a letter of a pattern stands for.
fn characters(letter: u8) -> &'static [u8] {
    match letter {
        b'V' => b"AEIOU",
        b'C' => b"BCDFGHJKLMNPQRSTVWXYZ",
        b'v' => b"aeiou",
        b'c' => b"bcdfghjklmnpqrstvwxyz",
        b'A' => b"AEIOUBCDFGHJKLMNPQRSTVWXYZ",
        b'a' => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
        b'n' => b"0123456789",
        b'o' => b"@&%?,=[]_:-+*$#!'^~;()/.",
        _ => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
    }
}

/// The Master Password algorithm: the same words always give the same password.
fn derive(call: &Call<'_>) -> Result<Value, Fault> {
    let counter =
        u32::try_from(call.int(0)?).map_err(|_| Fault::new("the counter must fit an unsigned 32 bit number"))?;
    let (kind, password, user, site) = (call.str(1)?, call.str(2)?, call.str(3)?, call.str(4)?);
    let Some((_, patterns)) = PATTERNS.iter().find(|(name, _)| *name == &*kind) else {
        return text(format!("cannot find password template {kind}"));
    };
    let measured = |word: &str| {
        let word = bytes::of(word);
        let length = u32::try_from(word.len()).unwrap_or(u32::MAX).to_be_bytes();
        [SEED, &length, &word].concat()
    };
    let mut key = [0; 64];
    let params = Params::new(15, 8, 2).map_err(failed("derive a password"))?;
    scrypt::scrypt(&bytes::of(&password), &measured(&user), &params, &mut key).map_err(failed("derive a password"))?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(failed("derive a password"))?;
    mac.update(&measured(&site));
    mac.update(&counter.to_be_bytes());
    let seed = mac.finalize().into_bytes();
    let pattern = patterns[usize::from(seed[0]) % patterns.len()];
    text(
        pattern
            .bytes()
            .zip(&seed[1..])
            .map(|(letter, number)| {
                let characters = characters(letter);
                char::from(characters[usize::from(*number) % characters.len()])
            })
            .collect::<String>(),
    )
}

/// The password, cut or filled up with zeros.
fn key(password: &str) -> [u8; 32] {
    let mut key = [0; 32];
    key.iter_mut().zip(bytes::of(password).iter()).for_each(|(to, from)| *to = *from);
    key
}

const BLOCK: usize = 16;

fn encrypt(call: &Call<'_>) -> Result<Value, Fault> {
    let (password, plain) = (call.str(0)?, call.str(1)?);
    if plain.is_empty() {
        return text("");
    }
    let mut start = [0; BLOCK];
    super::random::fill(&mut start)?;
    let encrypted = cbc::Encryptor::<Aes256>::new(&key(&password).into(), &start.into())
        .encrypt_padded_vec::<Pkcs7>(&bytes::of(&plain));
    text(STANDARD.encode([&start[..], &encrypted].concat()))
}

fn decrypt(call: &Call<'_>) -> Result<Value, Fault> {
    let (password, encrypted) = (call.str(0)?, call.str(1)?);
    if encrypted.is_empty() {
        return text("");
    }
    let encoded: Vec<u8> = encrypted.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    let data = STANDARD.decode(encoded).map_err(failed("decrypt"))?;
    let Some((start, data)) = data.split_first_chunk::<BLOCK>().filter(|(_, data)| !data.is_empty()) else {
        return Err(Fault::new("decrypt: the text is shorter than a block"));
    };
    let mut plain = cbc::Decryptor::<Aes256>::new(&key(&password).into(), &(*start).into())
        .decrypt_padded_vec::<NoPadding>(data)
        .map_err(failed("decrypt"))?;
    // Of the padding only the last byte is looked at, as Sprig does.
    let padding = plain.last().map_or(0, |last| usize::from(*last));
    let length = plain.len().checked_sub(padding).ok_or_else(|| Fault::new("decrypt: slice bounds out of range"))?;
    plain.truncate(length);
    text(bytes::to_text(&plain))
}
