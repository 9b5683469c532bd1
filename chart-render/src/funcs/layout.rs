//! The shape of text: indents, wraps and cuts.

use super::{Call, Entry, text};
use crate::bytes;
use crate::fault::Fault;
use crate::value::Value;

pub(super) const TABLE: &[Entry] = &[
    ("indent", 2, Some(2), |call| text(indent(call)?)),
    ("nindent", 2, Some(2), |call| text(format!("\n{}", indent(call)?))),
    ("trunc", 2, Some(2), trunc),
    ("substr", 3, Some(3), substr),
    ("abbrev", 2, Some(2), |call| {
        let value = call.str(1)?;
        text(abbreviate(&value, 0, call.int(0)?))
    }),
    ("abbrevboth", 3, Some(3), |call| {
        let (left, right, value) = (call.int(0)?, call.int(1)?, call.str(2)?);
        if left > 0 && right < 7 { text(value) } else { text(abbreviate(&value, left, right)) }
    }),
    ("wrap", 2, Some(2), |call| text(wrap(&call.str(1)?, call.int(0)?, "\n", false))),
    ("wrapWith", 3, Some(3), |call| text(wrap(&call.str(2)?, call.int(0)?, &call.str(1)?, true))),
];

/// Every line gets the spaces, empty ones too.
fn indent(call: &Call<'_>) -> Result<String, Fault> {
    let (spaces, value) = (call.int(0)?, call.str(1)?);
    let pad = " ".repeat(usize::try_from(spaces).map_err(|_| Fault::new("strings: negative Repeat count"))?);
    Ok(format!("{pad}{}", value.replace('\n', &format!("\n{pad}"))))
}

/// The first `n` bytes, or the last when `n` is negative.
fn trunc(call: &Call<'_>) -> Result<Value, Fault> {
    let (count, value) = (call.int(0)?, call.str(1)?);
    let size = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let bytes = bytes::of(&value);
    let part = match count {
        ..0 => &bytes[bytes.len().saturating_sub(size)..],
        _ => &bytes[..size.min(bytes.len())],
    };
    text(bytes::to_text(part))
}

fn substr(call: &Call<'_>) -> Result<Value, Fault> {
    let (start, end, value) = (call.int(0)?, call.int(1)?, call.str(2)?);
    let bytes = bytes::of(&value);
    let from = usize::try_from(start).unwrap_or(0);
    let to = match usize::try_from(end) {
        // Only with a start may the end lie behind the text or be left open.
        Err(_) if start < 0 => return Err(Fault::new("slice bounds out of range")),
        Ok(end) if end > bytes.len() && start < 0 => return Err(Fault::new("slice bounds out of range")),
        Err(_) => bytes.len(),
        Ok(end) => end.min(bytes.len()),
    };
    match bytes.get(from..to) {
        Some(part) => text(bytes::to_text(part)),
        None => Err(Fault::new("slice bounds out of range")),
    }
}

/// At most `width` bytes around `offset`, with dots where something is missing.
fn abbreviate(value: &str, offset: i64, width: i64) -> String {
    let (Ok(width), bytes) = (usize::try_from(width), bytes::of(value)) else { return value.to_owned() };
    if width < 4 || bytes.len() <= width {
        return value.to_owned();
    }
    let room = width - 3;
    let offset = usize::try_from(offset).unwrap_or(0).min(bytes.len()).min(bytes.len() - room);
    if offset <= 4 {
        return bytes::to_text(&bytes[..room]) + "...";
    }
    if width < 7 {
        return String::new();
    }
    if offset + room < bytes.len() {
        return format!("...{}...", bytes::to_text(&bytes[offset..offset + room - 3]));
    }
    format!("...{}", bytes::to_text(&bytes[bytes.len() - room..]))
}

/// Lines of at most `width` bytes, broken at spaces; words that are longer stay whole unless `cuts_words`.
fn wrap(value: &str, width: i64, line_break: &str, cuts_words: bool) -> String {
    let width = usize::try_from(width).unwrap_or(0).max(1);
    let line_break = if line_break.is_empty() { "\n" } else { line_break };
    let bytes = bytes::of(value);
    let mut out = Vec::new();
    let mut rest = &*bytes;
    while rest.len() > width {
        if let Some(trimmed) = rest.strip_prefix(b" ") {
            rest = trimmed;
            continue;
        }
        let space = rest[..=width].iter().rposition(|byte| *byte == b' ');
        let space = space.or_else(|| {
            let behind = rest[width..].iter().position(|byte| *byte == b' ')?;
            (!cuts_words).then_some(width + behind)
        });
        let (line, behind) = match space {
            Some(space) => (&rest[..space], &rest[space + 1..]),
            None if cuts_words => rest.split_at(width),
            None => break,
        };
        out.extend_from_slice(line);
        out.extend_from_slice(line_break.as_bytes());
        rest = behind;
    }
    out.extend_from_slice(rest);
    bytes::to_text(&out)
}
