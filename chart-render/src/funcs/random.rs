//! Values that differ from run to run, from the system's source of randomness: passwords depend on them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Call, Entry, text};
use crate::fault::Fault;
use crate::value::Value;

pub(super) const TABLE: &[Entry] = &[
    ("randAlpha", 1, Some(1), |call| word(call, |character| character.is_ascii_alphabetic())),
    ("randAlphaNum", 1, Some(1), |call| word(call, |character| character.is_ascii_alphanumeric())),
    ("randAscii", 1, Some(1), |call| word(call, |character| matches!(character, ' '..='~'))),
    ("randNumeric", 1, Some(1), |call| word(call, |character| character.is_ascii_digit())),
    ("randBytes", 1, Some(1), |call| {
        let mut data = vec![0; count(call)?];
        fill(&mut data)?;
        text(STANDARD.encode(data))
    }),
    ("randInt", 2, Some(2), |call| {
        let (low, high) = (call.int(0)?, call.int(1)?);
        let width = high.checked_sub(low).and_then(|width| u64::try_from(width).ok()).filter(|width| *width > 0);
        let width = width.ok_or_else(|| Fault::new("invalid argument to Intn"))?;
        // Below the width of the range, so it stays within it.
        Ok(Value::Int(low.wrapping_add_unsigned(below(width)?)))
    }),
    ("shuffle", 1, Some(1), |call| {
        let mut characters: Vec<char> = call.str(0)?.chars().collect();
        for index in (1..characters.len()).rev() {
            characters.swap(index, index_below(index + 1)?);
        }
        text(characters.into_iter().collect::<String>())
    }),
    ("uuidv4", 0, Some(0), |_| {
        let mut data = [0; 16];
        fill(&mut data)?;
        data[6] = (data[6] & 0x0f) | 0x40;
        data[8] = (data[8] & 0x3f) | 0x80;
        let hex = format!("{:032x}", u128::from_be_bytes(data));
        text([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
    }),
];

/// As many characters of a kind as the argument says.
fn word(call: &Call<'_>, fits: fn(char) -> bool) -> Result<Value, Fault> {
    let letters: Vec<char> = ('\0'..='\u{7f}').filter(|character| fits(*character)).collect();
    let word = (0..count(call)?).map(|_| Ok(letters[index_below(letters.len())?]));
    text(word.collect::<Result<String, Fault>>()?)
}

/// A negative count is none.
fn count(call: &Call<'_>) -> Result<usize, Fault> {
    Ok(usize::try_from(call.int(0)?).unwrap_or_default())
}

fn index_below(count: usize) -> Result<usize, Fault> {
    // What is below a usize is one.
    below(count as u64).map(|index| usize::try_from(index).unwrap_or_default())
}

/// A number below `count`, each as likely as the next.
fn below(count: u64) -> Result<u64, Fault> {
    let largest = u64::MAX - u64::MAX % count;
    loop {
        let mut data = [0; 8];
        fill(&mut data)?;
        let number = u64::from_ne_bytes(data);
        if number < largest {
            return Ok(number % count);
        }
    }
}

/// Random bytes from the system.
pub(super) fn fill(data: &mut [u8]) -> Result<(), Fault> {
    getrandom::fill(data).map_err(|error| Fault::new(format!("no randomness from the system: {error}")))
}
