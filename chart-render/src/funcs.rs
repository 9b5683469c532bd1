//! The functions templates call: Go's own, Sprig's and Helm's.
//!
//! Go checks the type of every argument, so `trunc 63 1.5` is an error and not a conversion. [`Call`] has one accessor
//! per parameter type; a function that takes anything asks for [`Call::any`]. What Helm has and we do not is refused
//! by name when it is called.

mod cases;
mod certificates;
mod compare;
pub(crate) mod dates;
mod dicts;
mod encoding;
pub(crate) mod files;
mod flow;
mod keys;
mod layout;
mod lists;
mod math;
mod passwords;
mod paths;
mod patterns;
mod random;
mod strings;
mod toml;
mod types;
mod unsupported;
mod urls;
pub(crate) mod versions;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;
use std::sync::LazyLock;

use crate::engine::Engine;
use crate::fault::Fault;
use crate::value::{Dict, Object, Value};

type Run = fn(&Call<'_>) -> Result<Value, Fault>;

/// Name, fewest and most arguments (`None`: any number), implementation.
type Entry = (&'static str, usize, Option<usize>, Run);

/// Second names. Sprig's `must` forms differ from the plain ones only where those would crash, which is an error here
/// in either form.
const ALIASES: &[(&str, &str)] = &[
    ("date_in_zone", "dateInZone"),
    ("date_modify", "dateModify"),
    ("must_date_modify", "mustDateModify"),
    ("mustAppend", "append"),
    ("mustChunk", "chunk"),
    ("mustCompact", "compact"),
    ("mustDeepCopy", "deepCopy"),
    ("mustFirst", "first"),
    ("mustHas", "has"),
    ("mustInitial", "initial"),
    ("mustLast", "last"),
    ("mustMerge", "merge"),
    ("mustMergeOverwrite", "mergeOverwrite"),
    ("mustPrepend", "prepend"),
    ("mustPush", "append"),
    ("mustRegexFind", "regexFind"),
    ("mustRegexFindAll", "regexFindAll"),
    ("mustRegexReplaceAll", "regexReplaceAll"),
    ("mustRegexReplaceAllLiteral", "regexReplaceAllLiteral"),
    ("mustRegexSplit", "regexSplit"),
    ("mustRest", "rest"),
    ("mustReverse", "reverse"),
    ("mustSlice", "slice"),
    ("mustToJson", "toJson"),
    ("mustToPrettyJson", "toPrettyJson"),
    ("mustToRawJson", "toRawJson"),
    ("mustToYaml", "toYaml"),
    ("mustUniq", "uniq"),
    ("mustWithout", "without"),
    ("osBase", "base"),
    ("osClean", "clean"),
    ("osDir", "dir"),
    ("osExt", "ext"),
    ("osIsAbs", "isAbs"),
    ("push", "append"),
    ("trimall", "trimAll"),
    ("tuple", "list"),
    ("biggest", "max"),
];

/// FNV-1a. The names are known, so nobody can choose them to collide, and every call looks one up.
#[derive(Clone, Copy)]
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

type Table = HashMap<&'static str, Entry, BuildHasherDefault<Fnv>>;

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table: Table = [
        cases::TABLE,
        certificates::TABLE,
        compare::TABLE,
        dates::TABLE,
        dicts::TABLE,
        encoding::TABLE,
        flow::TABLE,
        keys::TABLE,
        layout::TABLE,
        lists::TABLE,
        math::TABLE,
        passwords::TABLE,
        paths::TABLE,
        patterns::TABLE,
        random::TABLE,
        strings::TABLE,
        toml::TABLE,
        types::TABLE,
        urls::TABLE,
        versions::TABLE,
    ]
    .into_iter()
    .flatten()
    .map(|entry| (entry.0, *entry))
    .collect();
    for (alias, name) in ALIASES {
        if let Some(entry) = table.get(name).copied() {
            table.insert(alias, entry);
        }
    }
    table
});

/// Whether Helm knows the function, whether or not we can run it.
pub(crate) fn is_known(name: &str) -> bool {
    matches!(name, "and" | "or") || TABLE.contains_key(name) || unsupported::NAMES.contains(&name)
}

/// Runs a function.
pub(crate) fn call(call: &Call<'_>) -> Result<Value, Fault> {
    let Some((_, min, max, run)) = TABLE.get(call.name) else { return Err(unsupported::refuse(call.name)) };
    let got = call.arguments.len();
    if got < *min || max.is_some_and(|max| got > max) {
        let want = if max.is_some() { min.to_string() } else { format!("at least {min}") };
        return Err(Fault::new(format!("wrong number of args for {}: want {want} got {got}", call.name)));
    }
    run(call).map_err(|mut fault| {
        if !fault.by_author && fault.sites.is_empty() {
            fault.message = format!("error calling {}: {}", call.name, fault.message);
        }
        fault
    })
}

/// The arguments that have no Go type of their own, by their index: nothing and literals. Such a nil is also an empty map,
/// such a whole number also an `int`.
#[derive(Clone, Copy, Default)]
pub(crate) struct Untyped(u64);

impl Untyped {
    pub(crate) fn mark(&mut self, index: usize) {
        self.0 |= 1_u64.checked_shl(u32::try_from(index).unwrap_or(u32::MAX)).unwrap_or(0);
    }

    fn has(self, index: usize) -> bool {
        u32::try_from(index).ok().and_then(|index| self.0.checked_shr(index)).is_some_and(|bits| bits & 1 == 1)
    }
}

/// A call with its evaluated arguments.
pub(crate) struct Call<'a> {
    pub(crate) name: &'a str,
    pub(crate) arguments: &'a [Value],
    pub(crate) untyped: Untyped,
    pub(crate) engine: &'a Engine,
}

impl Call<'_> {
    fn any(&self, index: usize) -> Value {
        self.arguments.get(index).cloned().unwrap_or(Value::Nil)
    }

    fn rest(&self, index: usize) -> &[Value] {
        self.arguments.get(index..).unwrap_or_default()
    }

    fn str(&self, index: usize) -> Result<Rc<str>, Fault> {
        match self.any(index) {
            Value::Str(text) => Ok(text),
            other => Err(wrong_type("string", &other)),
        }
    }

    /// A Go `int`: a literal, a `len`, an `int`; not the `int64` that arithmetic and `--set` give.
    fn int(&self, index: usize) -> Result<i64, Fault> {
        match self.any(index) {
            Value::Int(integer) => Ok(integer),
            Value::Float(whole) if self.untyped.has(index) && whole.fract() == 0.0 => Ok(types::truncated(whole)),
            other => Err(wrong_type("int", &other)),
        }
    }

    fn bool(&self, index: usize) -> Result<bool, Fault> {
        match self.any(index) {
            Value::Bool(value) => Ok(value),
            other => Err(wrong_type("bool", &other)),
        }
    }

    /// A map; where nothing was given, an empty one. A field that is nil is no map.
    fn dict(&self, index: usize) -> Result<Dict, Fault> {
        match self.any(index) {
            Value::Map(map) => Ok(map),
            Value::Nil if self.untyped.has(index) => Ok(Dict::default()),
            other => Err(wrong_type("map[string]interface {}", &other)),
        }
    }

    /// A list where the parameter is one; nothing is an empty list.
    fn items(&self, index: usize) -> Result<Rc<Vec<Value>>, Fault> {
        match self.any(index) {
            Value::List(items) => Ok(items),
            Value::Nil if self.untyped.has(index) => Ok(Rc::default()),
            other => Err(wrong_type("[]interface {}", &other)),
        }
    }

    /// A list, where the function itself looks at the type.
    fn list(&self, index: usize) -> Result<Rc<Vec<Value>>, Fault> {
        match self.any(index) {
            Value::List(items) => Ok(items),
            Value::Object(Object::ApiVersions(versions)) => Ok(Rc::new(versions.iter().map(Value::str).collect())),
            other => Err(Fault::new(format!("cannot {} on type {}", self.name, other.kind()))),
        }
    }
}

fn wrong_type(expected: &str, got: &Value) -> Fault {
    match got {
        Value::Nil => Fault::new(format!("invalid value; expected {expected}")),
        other => Fault::new(format!("wrong type for value; expected {expected}; got {}", other.go_type())),
    }
}

/// The result of a function that gives text.
#[expect(clippy::unnecessary_wraps, reason = "the shape every function returns")]
fn text(text: impl AsRef<str>) -> Result<Value, Fault> {
    Ok(Value::str(text))
}
