//! Makes JSON of the events of a YAML document by the rules of go-yaml and of sigs.k8s.io/yaml around it.
//!
//! Keys become strings after YAML has read them: `n:` is `"false"` and `1:` is `"1"`; only quotes keep them as they
//! are. Of two equal keys the last one counts, and what `<<` names stands where that does.

use std::borrow::Cow;
use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use granit_parser::{Event, Options, Parser, ScalarStyle, Tag};
use serde_json::{Map, Number, Value as Json};

use super::resolve::{self, Meaning};
use crate::{bytes, numbers};

/// Deeper documents are refused.
const DEEPEST: usize = 1000;
/// go-yaml's bounds on what aliases may make of a document: nodes from which on the share of repeated ones counts, and
/// the range within which the share that is allowed falls from the first to the last.
const SMALL: (u64, u64) = (100, 1000);
const RANGE: (u64, u64) = (400_000, 4_000_000);
const SHARE: (f64, f64) = (0.99, 0.10);

/// The first document of a text, whatever stands behind it; an empty one is null.
pub(super) fn document(text: &str) -> Result<Json, String> {
    let mut text = Cow::Borrowed(text);
    loop {
        match read(&text) {
            Ok(json) => return Ok(json),
            Err(Refusal { line, message }) => match line.and_then(|line| with_header_above(&text, line)) {
                Some(moved) => text = Cow::Owned(moved),
                None => return Err(message),
            },
        }
    }
}

/// Why a document was not read, and the line at which the parser gave up, counted from 1.
struct Refusal {
    line: Option<usize>,
    message: String,
}

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self { line: None, message }
    }
}

fn read(text: &str) -> Result<Json, Refusal> {
    let mut options = Options::default();
    options.emit_comments = false;
    options.emit_anchor_events = true;
    options.bom_inside_document_as_content = true;
    options.block_scalar_eof_without_line_feed = true;
    options.flow_nesting_limit = DEEPEST;
    options.block_nesting_limit = DEEPEST;
    let mut composer = Composer::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, _) =
            event.map_err(|error| Refusal { line: Some(error.marker().line()), message: error.to_string() })?;
        if let Some(root) = composer.take(event)? {
            return Ok(root.into_json()?);
        }
    }
    Ok(Json::Null)
}

/// The text with the header of a block (`|-`) moved up to its key, where it stands alone in this line and not further in
/// than the key: go-yaml takes it there, and charts that indent a text by hand write it so.
fn with_header_above(text: &str, line: usize) -> Option<String> {
    let lines: Vec<&str> = text.split('\n').collect();
    let (header, key) = (lines.get(line.checked_sub(1)?)?, lines.get(line.checked_sub(2)?)?);
    let alone = header.trim().strip_prefix(['|', '>'])?.bytes().all(|byte| matches!(byte, b'-' | b'+' | b'1'..=b'9'));
    let key = key.trim_end();
    if !alone || !key.ends_with(':') {
        return None;
    }
    let joined = format!("{key} {}", header.trim());
    Some([&lines[..line - 2], &[&*joined], &lines[line..]].concat().join("\n"))
}

/// A node that is complete.
#[derive(Clone)]
enum Node {
    Scalar(Meaning, String),
    List(Vec<Json>),
    Map(Map<String, Json>),
}

impl Node {
    fn into_json(self) -> Result<Json, String> {
        Ok(match self {
            Self::Scalar(Meaning::Null, _) => Json::Null,
            Self::Scalar(Meaning::Bool(value), _) => Json::Bool(value),
            Self::Scalar(Meaning::Int(value), _) => Json::from(value),
            Self::Scalar(Meaning::Uint(value), _) => Json::from(value),
            Self::Scalar(Meaning::Float(value), text) => {
                Number::from_f64(value).map(Json::Number).ok_or_else(|| format!("{text} is no JSON number"))?
            }
            Self::Scalar(Meaning::Time | Meaning::Text, text) => Json::String(text),
            Self::List(items) => Json::Array(items),
            Self::Map(map) => Json::Object(map),
        })
    }

    fn into_key(self) -> Result<String, String> {
        match self {
            Self::Scalar(Meaning::Bool(value), _) => Ok(value.to_string()),
            Self::Scalar(Meaning::Int(value), _) => Ok(value.to_string()),
            Self::Scalar(Meaning::Float(value), _) => Ok(numbers::format_key(value)),
            Self::Scalar(Meaning::Time | Meaning::Text, text) => Ok(text),
            Self::Scalar(Meaning::Null, _) => Err("unsupported map key: null".to_owned()),
            Self::Scalar(Meaning::Uint(value), _) => Err(format!("unsupported map key: {value}")),
            Self::List(_) | Self::Map(_) => Err("invalid map key: a map or a list".to_owned()),
        }
    }
}

/// A node as it stands in the document.
struct Placed {
    node: Node,
    /// The nodes it is made of, with those that its aliases stand for.
    size: u64,
    /// A `<<` that names maps to merge.
    merges: bool,
    is_alias: bool,
}

/// A collection whose end has not come yet.
struct Open {
    anchor: usize,
    size: u64,
    kind: Kind,
}

enum Kind {
    List(Vec<Json>),
    Map { map: Map<String, Json>, key: Option<Placed> },
}

#[derive(Default)]
struct Composer {
    open: Vec<Open>,
    /// The complete nodes that have an anchor, and their sizes.
    anchors: HashMap<usize, (Node, u64)>,
    /// Nodes read so far, and those of them that an alias repeated.
    nodes: u64,
    repeated: u64,
}

impl Composer {
    /// Takes an event, and gives the root when it is complete.
    fn take(&mut self, event: Event<'_>) -> Result<Option<Node>, String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.nodes += 1;
                let (node, merges) = scalar(text, style, tag.as_deref())?;
                self.complete(anchor, Placed { node, size: 1, merges, is_alias: false })
            }
            Event::SequenceStart(_, anchor, _) => {
                self.begin(anchor, Kind::List(Vec::new()));
                Ok(None)
            }
            Event::MappingStart(_, anchor, _) => {
                self.begin(anchor, Kind::Map { map: Map::new(), key: None });
                Ok(None)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { anchor, size, kind }) = self.open.pop() else { return Ok(None) };
                let node = match kind {
                    Kind::List(items) => Node::List(items),
                    Kind::Map { map, .. } => Node::Map(map),
                };
                self.complete(anchor, Placed { node, size, merges: false, is_alias: false })
            }
            Event::Alias(anchor) => self.repeat(anchor),
            Event::Anchor(_, name) if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')) => {
                Err(format!("the anchor &{name} has other characters than letters, digits, `_` and `-`"))
            }
            _ => Ok(None),
        }
    }

    fn begin(&mut self, anchor: usize, kind: Kind) {
        self.nodes += 1;
        self.open.push(Open { anchor, size: 1, kind });
    }

    fn complete(&mut self, anchor: usize, placed: Placed) -> Result<Option<Node>, String> {
        if anchor > 0 {
            self.anchors.insert(anchor, (placed.node.clone(), placed.size));
        }
        self.place(placed)
    }

    fn repeat(&mut self, anchor: usize) -> Result<Option<Node>, String> {
        let Some((node, size)) = self.anchors.get(&anchor) else {
            return Err("an anchor contains itself".to_owned());
        };
        self.nodes += 1 + size;
        self.repeated += size;
        if self.repeated > SMALL.0
            && self.nodes > SMALL.1
            && numbers::ratio(self.repeated, self.nodes) > allowed(self.nodes)
        {
            return Err("document contains excessive aliasing".to_owned());
        }
        let placed = Placed { node: node.clone(), size: 1 + size, merges: false, is_alias: true };
        self.place(placed)
    }

    /// Puts a node into the collection around it; at the root it is the document.
    fn place(&mut self, placed: Placed) -> Result<Option<Node>, String> {
        let Some(around) = self.open.last_mut() else { return Ok(Some(placed.node)) };
        around.size += placed.size;
        match &mut around.kind {
            Kind::List(items) => items.push(placed.node.into_json()?),
            Kind::Map { map, key } => match key.take() {
                None => *key = Some(placed),
                Some(Placed { merges: true, .. }) => merge(map, placed)?,
                Some(key) => {
                    map.insert(key.node.into_key()?, placed.node.into_json()?);
                }
            },
        }
        Ok(None)
    }
}

/// The part of so many nodes that aliases may repeat.
fn allowed(nodes: u64) -> f64 {
    let beyond = nodes.clamp(RANGE.0, RANGE.1) - RANGE.0;
    SHARE.0 - (SHARE.0 - SHARE.1) * numbers::ratio(beyond, RANGE.1 - RANGE.0)
}

/// The entries of one map, or of several of which the first wins, over those that stand before. A list of maps must
/// stand there itself.
fn merge(map: &mut Map<String, Json>, named: Placed) -> Result<(), String> {
    let no_map = || "map merge requires map or sequence of maps as the value".to_owned();
    match named.node {
        Node::Map(other) => map.extend(other),
        Node::List(others) if !named.is_alias => {
            for other in others.into_iter().rev() {
                let Json::Object(other) = other else { return Err(no_map()) };
                map.extend(other);
            }
        }
        _ => return Err(no_map()),
    }
    Ok(())
}

/// What a scalar is, and whether it is a key that merges.
fn scalar(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>) -> Result<(Node, bool), String> {
    let is_plain = style == ScalarStyle::Plain;
    let Some(tag) = tag.map(|tag| format!("{}{}", tag.handle(), tag.suffix())) else {
        let meaning = if is_plain { resolve::plain(&text) } else { Meaning::Text };
        let merges = is_plain && text == "<<";
        return Ok((Node::Scalar(meaning, text.into_owned()), merges));
    };
    let Some(name) = tag.strip_prefix("tag:yaml.org,2002:") else {
        let merges = tag == "!" && text == "<<";
        return Ok((Node::Scalar(Meaning::Text, text.into_owned()), merges));
    };
    let refused = || Err(format!("cannot decode `{text}` as a !!{name}"));
    let meaning = match (name, resolve::plain(&text)) {
        ("binary", _) => {
            let packed: String = text.chars().filter(|character| !matches!(character, '\r' | '\n')).collect();
            let data = STANDARD.decode(packed).map_err(|_| "!!binary value contains invalid base64 data")?;
            let decoded = bytes::replaced(&bytes::to_text(&data)).into_owned();
            return Ok((Node::Scalar(Meaning::Text, decoded), false));
        }
        ("timestamp", _) if resolve::is_time(&text) => Meaning::Time,
        ("float", Meaning::Int(value)) => Meaning::Float(numbers::float(value)),
        ("null", Meaning::Null) => Meaning::Null,
        ("bool", meaning @ Meaning::Bool(_))
        | ("int", meaning @ (Meaning::Int(_) | Meaning::Uint(_)))
        | ("float", meaning @ Meaning::Float(_)) => meaning,
        ("null" | "bool" | "int" | "float" | "timestamp", _) => return refused(),
        _ => Meaning::Text,
    };
    let merges = name == "merge" && text == "<<";
    Ok((Node::Scalar(meaning, text.into_owned()), merges))
}
