//! `printf`: verbs with flags, width and precision.

use std::iter::Peekable;
use std::str::Chars;

use super::{bracket, display, quote};
use crate::numbers;
use crate::value::{Object, Value};

/// Flags, width and precision of one verb.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "Go's five flags")]
struct Spec {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

/// `printf`.
pub(crate) fn sprintf(format: &str, values: &[Value]) -> String {
    let mut out = String::new();
    let mut next = 0;
    let mut characters = format.chars().peekable();
    while let Some(character) = characters.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        let spec = Spec::read(&mut characters, values, &mut next);
        let Some(verb) = characters.next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        if verb == '%' {
            out.push('%');
            continue;
        }
        let Some(value) = values.get(next) else {
            out.extend(["%!", verb.encode_utf8(&mut [0; 4]), "(MISSING)"]);
            continue;
        };
        next += 1;
        out.push_str(&spec.verb(verb, value));
    }
    if next < values.len() && !format.contains('[') {
        let extra: Vec<String> = values[next..]
            .iter()
            .map(|value| match value {
                Value::Nil => "<nil>".to_owned(),
                other => format!("{}={}", other.go_type(), display(other)),
            })
            .collect();
        out.extend(["%!(EXTRA ", &extra.join(", "), ")"]);
    }
    out
}

impl Spec {
    /// Width and precision may be arguments (`%*d`), and any argument may be chosen by its number (`%[2]d`).
    fn read(characters: &mut Peekable<Chars<'_>>, values: &[Value], next: &mut usize) -> Self {
        let mut spec = Self::default();
        while let Some(flag) = characters.peek().copied() {
            match flag {
                '-' => spec.minus = true,
                '+' => spec.plus = true,
                '#' => spec.sharp = true,
                ' ' => spec.space = true,
                '0' => spec.zero = true,
                _ => break,
            }
            characters.next();
        }
        let mut measure = |characters: &mut Peekable<Chars<'_>>| {
            choose(characters, next);
            if characters.next_if_eq(&'*').is_none() {
                return read_number(characters).map(|number| i64::try_from(number).unwrap_or(i64::MAX));
            }
            *next += 1;
            match values.get(*next - 1) {
                Some(Value::Int(number) | Value::Int64(number)) => Some(*number),
                _ => None,
            }
        };
        let width = measure(characters).unwrap_or(0);
        spec.minus |= width < 0;
        spec.width = usize::try_from(width.unsigned_abs()).unwrap_or(0);
        if characters.next_if_eq(&'.').is_some() {
            spec.precision = Some(measure(characters).and_then(|digits| usize::try_from(digits).ok()).unwrap_or(0));
        }
        choose(characters, next);
        spec
    }

    fn verb(&self, verb: char, value: &Value) -> String {
        match (verb, value) {
            ('T', value) => self.pad(value.go_type()),
            ('v', Value::Nil) => self.pad("<nil>"),
            (_, Value::Nil) => format!("%!{verb}(<nil>)"),
            (_, Value::List(items)) => bracket("", items.iter().map(|item| self.inner(verb, item))),
            (_, Value::Map(map)) => {
                let key = |key: &String| self.verb(verb, &Value::str(key));
                bracket("map", map.borrow().iter().map(|(k, value)| format!("{}:{}", key(k), self.inner(verb, value))))
            }
            (_, Value::Object(Object::ApiVersions(versions))) => {
                bracket("", versions.iter().map(|version| self.verb(verb, &Value::str(version))))
            }
            (_, Value::Object(Object::Texts(texts))) => {
                let part = |text: &String| self.verb(verb, &Value::str(text));
                bracket("map", texts.iter().map(|(key, text)| format!("{}:{}", part(key), part(text))))
            }
            ('v' | 't', Value::Bool(flag)) => self.pad(&flag.to_string()),
            ('v', Value::Str(text)) if self.sharp => self.pad(&quote(text)),
            ('v' | 's', Value::Str(text)) => self.pad(&self.cut(text)),
            ('q', Value::Str(text)) => self.pad(&quote(&self.cut(text))),
            ('x' | 'X', Value::Str(text)) => {
                let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
                let hex: String = text.bytes().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
                self.pad(&if verb == 'X' { hex.to_uppercase() } else { hex })
            }
            (_, Value::Int(integer) | Value::Int64(integer)) => self.integer(verb, *integer, value),
            (_, Value::Float(float)) => self.float(verb, *float, value),
            ('v' | 's', Value::Object(_)) => self.pad(&display(value)),
            _ => bad_verb(verb, value),
        }
    }

    /// A part of a list or map; nil has one form there.
    fn inner(&self, verb: char, value: &Value) -> String {
        if matches!(value, Value::Nil) { "<nil>".to_owned() } else { self.verb(verb, value) }
    }

    fn integer(&self, verb: char, integer: i64, value: &Value) -> String {
        let magnitude = integer.unsigned_abs();
        let digits = match verb {
            'v' | 'd' => magnitude.to_string(),
            'b' => format!("{magnitude:b}"),
            'o' => format!("{}{magnitude:o}", if self.sharp { "0" } else { "" }),
            'O' => format!("0o{magnitude:o}"),
            'x' => format!("{}{magnitude:x}", if self.sharp { "0x" } else { "" }),
            'X' => format!("{}{magnitude:X}", if self.sharp { "0X" } else { "" }),
            'c' => return self.pad(&code_point(integer).to_string()),
            'q' => return self.pad(&format!("'{}'", code_point(integer))),
            'U' => return self.pad(&format!("U+{magnitude:04X}")),
            _ => return bad_verb(verb, value),
        };
        let digits = match self.precision {
            Some(precision) if digits.len() < precision => format!("{digits:0>precision$}"),
            _ => digits,
        };
        let plain = Self { plus: self.plus && verb != 'v', ..*self };
        plain.signed(integer < 0, &digits, self.precision.is_none())
    }

    fn float(&self, verb: char, float: f64, value: &Value) -> String {
        let magnitude = float.abs();
        let digits = match (verb, self.precision) {
            ('f' | 'F', precision) => format!("{magnitude:.*}", precision.unwrap_or(6)),
            ('e' | 'E', precision) => {
                let text = format!("{magnitude:.*e}", precision.unwrap_or(6));
                let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                numbers::with_exponent(mantissa, exponent.parse().unwrap_or(0))
            }
            ('v' | 'g' | 'G', None) => numbers::format_g(magnitude),
            ('v' | 'g' | 'G', Some(precision)) => general(magnitude, precision),
            _ => return bad_verb(verb, value),
        };
        let digits = if verb.is_ascii_uppercase() { digits.to_uppercase() } else { digits };
        let plain = Self { plus: self.plus && verb != 'v', ..*self };
        plain.signed(float.is_sign_negative(), &digits, true)
    }

    fn signed(&self, negative: bool, digits: &str, may_zero_fill: bool) -> String {
        let sign = match (negative, self.plus, self.space) {
            (true, ..) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            _ => "",
        };
        if self.zero && !self.minus && may_zero_fill {
            let width = self.width.saturating_sub(sign.len());
            return format!("{sign}{digits:0>width$}");
        }
        self.pad(&format!("{sign}{digits}"))
    }

    fn cut(&self, text: &str) -> String {
        match self.precision {
            Some(precision) => text.chars().take(precision).collect(),
            None => text.to_owned(),
        }
    }

    fn pad(&self, text: &str) -> String {
        let width = self.width;
        match (self.minus, self.zero) {
            (true, _) => format!("{text:<width$}"),
            (false, true) => format!("{text:0>width$}"),
            (false, false) => format!("{text:>width$}"),
        }
    }
}

/// `%.3g`: significant digits, trailing zeros dropped, an exponent from the precision on.
fn general(value: f64, precision: usize) -> String {
    let precision = precision.max(1);
    let text = format!("{value:.*e}", precision - 1);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let significant = i32::try_from(precision).unwrap_or(i32::MAX);
    let trim = |digits: &str| {
        let without_zeros = if digits.contains('.') { digits.trim_end_matches('0') } else { digits };
        without_zeros.trim_end_matches('.').to_owned()
    };
    if exponent < -4 || exponent >= significant {
        return numbers::with_exponent(&trim(mantissa), exponent);
    }
    let decimals = usize::try_from(significant - 1 - exponent).unwrap_or(0);
    trim(&format!("{value:.decimals$}"))
}

/// `[2]` makes the second argument the next one.
fn choose(characters: &mut Peekable<Chars<'_>>, next: &mut usize) {
    if characters.next_if_eq(&'[').is_some() {
        let number = read_number(characters).unwrap_or(1);
        characters.next_if_eq(&']');
        *next = number.saturating_sub(1);
    }
}

fn read_number(characters: &mut Peekable<Chars<'_>>) -> Option<usize> {
    let mut number = None;
    while let Some(digit) = characters.peek().and_then(|character| character.to_digit(10)) {
        number = Some(number.unwrap_or(0_usize).saturating_mul(10).saturating_add(digit as usize));
        characters.next();
    }
    number
}

fn code_point(integer: i64) -> char {
    u32::try_from(integer).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn bad_verb(verb: char, value: &Value) -> String {
    format!("%!{verb}({}={})", value.go_type(), display(value))
}
