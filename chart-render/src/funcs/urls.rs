//! `urlParse` and `urlJoin`: a URL as a dict.

use std::fmt::Write as _;

use super::{Call, Entry, text};
use crate::fault::Fault;
use crate::value::Value;

pub(super) const TABLE: &[Entry] = &[
    ("urlParse", 1, Some(1), parse),
    ("urlJoin", 1, Some(1), join),
    // Rendering asks no name server; helm without --enable-dns gives the same.
    ("getHostByName", 1, Some(1), |call| call.str(0).and_then(|_| text(""))),
];

fn parse(call: &Call<'_>) -> Result<Value, Fault> {
    let whole = call.str(0)?;
    let invalid = |why: &str| Fault::new(format!("unable to parse url: parse {whole:?}: {why}"));
    if whole.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err(invalid("net/url: invalid control character in URL"));
    }
    let (rest, fragment) = whole.split_once('#').unwrap_or((&whole, ""));
    let (scheme, rest) = match rest.split_once(':') {
        Some(("", _)) => return Err(invalid("missing protocol scheme")),
        Some((scheme, behind)) if is_scheme(scheme) => (scheme.to_lowercase(), behind),
        _ => (String::new(), rest),
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let opaque = if !scheme.is_empty() && !rest.starts_with('/') { rest } else { "" };
    let (authority, path) = match rest.strip_prefix("//") {
        _ if !opaque.is_empty() => ("", ""),
        Some(behind) => behind.split_at(behind.find('/').unwrap_or(behind.len())),
        None => ("", rest),
    };
    if scheme.is_empty() && authority.is_empty() && path.split('/').next().is_some_and(|first| first.contains(':')) {
        return Err(invalid("first path segment in URL cannot contain colon"));
    }
    let (userinfo, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let hostname = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((inside, _)) => inside,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let unescape = |part: &str| percent_decode(part).ok_or_else(|| invalid("invalid URL escape"));
    let parts = [
        ("scheme", scheme),
        ("host", host.to_owned()),
        ("hostname", hostname.to_owned()),
        ("path", unescape(path)?),
        ("query", query.to_owned()),
        ("opaque", opaque.to_owned()),
        ("fragment", unescape(fragment)?),
        ("userinfo", userinfo.to_owned()),
    ];
    Ok(Value::map(parts.into_iter().map(|(key, part)| (key.to_owned(), Value::str(part)))))
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|character| character.is_ascii_alphanumeric() || "+-.".contains(character))
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    Some(crate::bytes::to_text(&bytes))
}

/// The parts of a URL put together; characters that may not stand in a path are escaped.
fn join(call: &Call<'_>) -> Result<Value, Fault> {
    let dict = call.dict(0)?;
    let dict = dict.borrow();
    let part = |key: &str| match dict.get(key) {
        None => Ok(String::new()),
        Some(Value::Str(text)) => Ok(text.to_string()),
        Some(other) => {
            Err(Fault::new(format!("unable to parse {key} key, must be of type string, but {} found", other.go_type())))
        }
    };
    let (scheme, host, path) = (part("scheme")?, part("host")?, escape(&part("path")?));
    let (query, fragment, opaque, user) =
        (part("query")?, escape(&part("fragment")?), part("opaque")?, part("userinfo")?);
    let mut url = String::new();
    if !scheme.is_empty() {
        url.extend([scheme.as_str(), ":"]);
    }
    if opaque.is_empty() {
        let has_authority = !(host.is_empty() && user.is_empty());
        if has_authority || !(scheme.is_empty() || path.is_empty()) {
            url.push_str("//");
            if !user.is_empty() {
                url.extend([user.as_str(), "@"]);
            }
            url.push_str(&host);
        }
        if !path.is_empty() && !path.starts_with('/') && !host.is_empty() {
            url.push('/');
        }
        url.push_str(&path);
    } else {
        url.push_str(&opaque);
    }
    for (mark, part) in [('?', query), ('#', fragment)] {
        if !part.is_empty() {
            url.push(mark);
            url.push_str(&part);
        }
    }
    text(url)
}

fn escape(path: &str) -> String {
    let mut out = String::new();
    for byte in crate::bytes::of(path).iter() {
        let character = char::from(*byte);
        if character.is_ascii_alphanumeric() || "-_.~$&+,/:;=@!'()*".contains(character) {
            out.push(character);
        } else {
            // Writing to a String does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
