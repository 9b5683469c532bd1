//! The grammar of `--set`: `a.b=1,c[0].d=x,e={1,2}`, with `\` before a character that is meant literally.
//!
//! It follows Helm's parser rule by rule, oddities included: a value that begins with `0` stays a string, `a=` is the
//! empty string, and an index without its bracket at the very end is dropped without a word.

use serde_json::{Map, Value as Json};

use crate::numbers;

/// Helm's limits.
const MAX_INDEX: usize = 65_536;
const MAX_NESTED_NAMES: usize = 30;

/// Turns the text of a value into the value.
pub(super) type Read<'a> = &'a dyn Fn(&str) -> Result<Json, String>;

/// What ends a rule early.
enum Stop {
    /// The input is over; not an error between settings.
    End,
    Error(String),
}

/// Applies settings to `tree`.
pub(super) fn apply(tree: &mut Map<String, Json>, input: &str, read: Read<'_>) -> Result<(), String> {
    Parser { characters: input.chars().collect(), at: 0, read, grammar: Grammar::Text }.settings(tree)
}

/// Applies `key=<json>` settings to `tree`.
pub(super) fn apply_json(tree: &mut Map<String, Json>, input: &str) -> Result<(), String> {
    apply_as(tree, input, Grammar::Json)
}

/// Applies one `key=text` setting to `tree`; the text ends with the input and no character in it is special.
pub(super) fn apply_literal(tree: &mut Map<String, Json>, input: &str) -> Result<(), String> {
    apply_as(tree, input, Grammar::Literal)
}

fn apply_as(tree: &mut Map<String, Json>, input: &str, grammar: Grammar) -> Result<(), String> {
    Parser { characters: input.chars().collect(), at: 0, read: &|text| Ok(Json::from(text)), grammar }.settings(tree)
}

/// What may stand behind the equals sign.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Grammar {
    /// Text or `{a,b}`, up to a comma.
    Text,
    /// JSON, up to a comma behind it.
    Json,
    /// All that is left.
    Literal,
}

struct Parser<'a> {
    characters: Vec<char>,
    at: usize,
    read: Read<'a>,
    grammar: Grammar,
}

/// `{…}` or something else behind the equals sign.
enum Listed {
    List(Json),
    NotList,
}

impl Parser<'_> {
    fn settings(&mut self, tree: &mut Map<String, Json>) -> Result<(), String> {
        loop {
            match self.key(tree, 0) {
                Ok(()) => {}
                Err(Stop::End) => return Ok(()),
                Err(Stop::Error(message)) => return Err(message),
            }
        }
    }

    /// One key with all that follows it, up to and including the comma.
    fn key(&mut self, data: &mut Map<String, Json>, depth: usize) -> Result<(), Stop> {
        let (name, end) = self.until(&['=', '[', ',', '.']);
        match end {
            None if name.is_empty() => Err(Stop::End),
            None => Err(error(format!("key {name:?} has no value"))),
            Some('[') => {
                let index = self.index()?;
                let list = match data.get(&name) {
                    None | Some(Json::Null) => Vec::new(),
                    Some(Json::Array(items)) => items.clone(),
                    Some(_) => return Err(error(format!("unable to parse key: {name:?} is not a list"))),
                };
                let (list, result) = self.item(list, index, depth);
                put(data, &name, Json::Array(list));
                result
            }
            Some('=') => {
                let (value, result) = self.value()?;
                put(data, &name, value);
                result
            }
            Some(',') => {
                put(data, &name, Json::from(""));
                Err(error(format!("key {name:?} has no value (cannot end with ,)")))
            }
            Some(_) => {
                if depth + 1 > MAX_NESTED_NAMES {
                    return Err(error(format!(
                        "value name nested level is greater than maximum supported nested level of {MAX_NESTED_NAMES}"
                    )));
                }
                let mut inner = match data.get(&name) {
                    None | Some(Json::Null) => Map::new(),
                    Some(Json::Object(map)) => map.clone(),
                    Some(_) => return Err(error(format!("unable to parse key: {name:?} is not a map"))),
                };
                let result = self.key(&mut inner, depth + 1);
                if result.is_ok() && inner.is_empty() {
                    return Err(error(format!("key map {name:?} has no value")));
                }
                if !inner.is_empty() {
                    put(data, &name, Json::Object(inner));
                }
                result
            }
        }
    }

    /// What stands behind `=`, and whether the input ended with it.
    fn value(&mut self) -> Result<(Json, Result<(), Stop>), Stop> {
        match self.grammar {
            Grammar::Json => return Ok((self.json_value()?, Ok(()))),
            Grammar::Literal => {
                let rest = self.characters.drain(self.at..).collect::<String>();
                return Ok((Json::from(rest), Ok(())));
            }
            Grammar::Text => {}
        }
        if self.at == self.characters.len() {
            return Ok((Json::from(""), Err(Stop::End)));
        }
        match self.list()? {
            Listed::List(list) => Ok((list, Ok(()))),
            Listed::NotList => {
                let (text, _) = self.until(&[',']);
                Ok(((self.read)(&text).map_err(error)?, Ok(())))
            }
        }
    }

    fn json_value(&mut self) -> Result<Json, Stop> {
        let rest: String = self.characters[self.at..].iter().collect();
        let empty = rest.trim_start();
        if empty.is_empty() || empty.starts_with(',') {
            self.until(&[',']);
            return Ok(Json::Null);
        }
        let mut stream = serde_json::Deserializer::from_str(&rest).into_iter::<Json>();
        let mut value = match stream.next() {
            Some(Ok(value)) => value,
            Some(Err(problem)) => return Err(error(problem.to_string())),
            None => Json::Null,
        };
        numbers::widen(&mut value);
        self.at += rest[..stream.byte_offset()].chars().count();
        while self.characters.get(self.at).is_some_and(|character| character.is_whitespace()) {
            self.at += 1;
        }
        if self.characters.get(self.at) == Some(&',') {
            self.at += 1;
        }
        Ok(value)
    }

    fn list(&mut self) -> Result<Listed, Stop> {
        if self.characters.get(self.at) != Some(&'{') {
            return Ok(Listed::NotList);
        }
        self.at += 1;
        let mut items = Vec::new();
        loop {
            let (text, end) = self.until(&[',', '}']);
            if end.is_none() {
                return Err(error("list must terminate with '}'".to_owned()));
            }
            items.push((self.read)(&text).map_err(error)?);
            if end == Some('}') {
                self.skip_comma();
                return Ok(Listed::List(Json::Array(items)));
            }
        }
    }

    fn skip_comma(&mut self) {
        if self.characters.get(self.at) == Some(&',') {
            self.at += 1;
        }
    }

    fn index(&mut self) -> Result<usize, Stop> {
        let (text, end) = self.until(&[']']);
        if end.is_none() {
            return Err(Stop::End);
        }
        let index: i64 = text.parse().map_err(|_| error(format!("error parsing index: {text:?} is not a number")))?;
        usize::try_from(index).map_err(|_| error(format!("negative {index} index not allowed")))
    }

    /// An element of a list; the list comes back whether or not it could be changed.
    fn item(&mut self, list: Vec<Json>, index: usize, depth: usize) -> (Vec<Json>, Result<(), Stop>) {
        let (stray, end) = self.until(&['[', '.', '=']);
        if !stray.is_empty() {
            return (list, Err(error(format!("unexpected data at end of array index: {stray:?}"))));
        }
        match end {
            None => (list, Err(Stop::End)),
            Some('=') => match self.value() {
                Ok((value, _)) => place(list, index, value),
                Err(stop) => (list, Err(stop)),
            },
            Some('[') => {
                let next = match self.index() {
                    Ok(next) => next,
                    Err(stop) => return (list, Err(stop)),
                };
                let nested = match list.get(index) {
                    Some(Json::Array(items)) => items.clone(),
                    _ => Vec::new(),
                };
                match self.item(nested, next, depth) {
                    (nested, Ok(())) => place(list, index, Json::Array(nested)),
                    (_, stop) => (list, stop),
                }
            }
            Some(_) => {
                let mut inner = match list.get(index) {
                    Some(Json::Object(map)) => map.clone(),
                    _ => Map::new(),
                };
                match self.key(&mut inner, depth) {
                    Ok(()) => place(list, index, Json::Object(inner)),
                    stop => (list, stop),
                }
            }
        }
    }

    /// Text up to one of `stops`, which is consumed; none when the input ends first.
    fn until(&mut self, stops: &[char]) -> (String, Option<char>) {
        let mut text = String::new();
        while let Some(&character) = self.characters.get(self.at) {
            self.at += 1;
            let literal = self.grammar == Grammar::Literal;
            if stops.contains(&character) && !(literal && character == ',') {
                return (text, Some(character));
            }
            if character == '\\' && !literal {
                match self.characters.get(self.at) {
                    Some(&literal) => text.push(literal),
                    None => return (text, None),
                }
                self.at += 1;
            } else {
                text.push(character);
            }
        }
        (text, None)
    }
}

fn error(message: String) -> Stop {
    Stop::Error(message)
}

/// An empty name sets nothing.
fn put(data: &mut Map<String, Json>, name: &str, value: Json) {
    if !name.is_empty() {
        data.insert(name.to_owned(), value);
    }
}

/// Elements left out before `index` are null.
fn place(mut list: Vec<Json>, index: usize, value: Json) -> (Vec<Json>, Result<(), Stop>) {
    if index > MAX_INDEX {
        return (list, Err(error(format!("index of {index} is greater than maximum supported index of {MAX_INDEX}"))));
    }
    if list.len() <= index {
        list.resize(index + 1, Json::Null);
    }
    list[index] = value;
    (list, Ok(()))
}
