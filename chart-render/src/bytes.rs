//! Bytes that are no UTF-8, carried inside text.
//!
//! A Go string holds any bytes, and charts make use of it: `b64dec` gives binary data, `trunc` cuts a character in
//! half. Rust's text cannot, so such a byte travels as a character of the last private-use plane, one for one, and
//! becomes a byte again where bytes count: in digests, encodings, lengths and cuts.

use std::borrow::Cow;

/// The character that stands for byte 0; only 0x80 and above occur.
const BASE: u32 = 0x0010_FE00;

/// Text for any bytes.
pub(crate) fn to_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().filter_map(|byte| char::from_u32(BASE + u32::from(*byte))));
    }
    text
}

/// The bytes of a text.
pub(crate) fn of(text: &str) -> Cow<'_, [u8]> {
    if !has_any(text) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        match stray(character) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Cow::Owned(bytes)
}

/// The byte that a character stands for.
pub(crate) fn stray(character: char) -> Option<u8> {
    let byte = u32::from(character).checked_sub(BASE)?;
    u8::try_from(byte).ok().filter(|byte| *byte >= 0x80)
}

/// Whether a text carries bytes that are no UTF-8.
pub(crate) fn has_any(text: &str) -> bool {
    // All characters that stand for a byte share these three bytes of UTF-8.
    text.as_bytes().windows(3).any(|window| window[..2] == [0xF4, 0x8F] && matches!(window[2], 0xBA | 0xBB))
}

/// The text as JSON has it: Go replaces what is no UTF-8.
pub(crate) fn replaced(text: &str) -> Cow<'_, str> {
    if has_any(text) {
        Cow::Owned(text.chars().map(|character| stray(character).map_or(character, |_| '\u{fffd}')).collect())
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_come_back_as_they_went() {
        let bytes: Vec<u8> = (0..=255).chain("é😀".bytes()).chain([0xC3]).collect();
        let text = to_text(&bytes);
        assert!(has_any(&text));
        assert_eq!(&*of(&text), bytes);
    }

    #[test]
    fn ordinary_text_is_left_alone() {
        for text in ["", "plain", "é😀\u{10ffff}"] {
            assert!(!has_any(text), "{text:?}");
            assert_eq!(to_text(text.as_bytes()), text);
        }
    }
}
