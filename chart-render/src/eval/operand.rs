//! What an expression stands for while it is evaluated. Go has two nothings, and charts can tell them apart.
//!
//! - A field whose value is nil, or a key that a map lacks, is an *empty interface*: a value, with nothing in it. Asking
//!   it for a field is an error (`.Values.a.b` without `a`), and so is passing it where a map or list is wanted.
//! - What leaves a pipeline (brackets, `:=`, `|`) is unwrapped, and of an empty interface *nothing* is left. Its fields
//!   are nothing again, however many, and where a map or list is wanted it is an empty one: `((.Values.a).b).c`.

use crate::value::Value;

/// The value of an expression, or Go's invalid `reflect.Value`.
#[derive(Clone)]
pub(super) enum Operand {
    Nothing,
    /// A value; nil is the empty interface.
    Value(Value),
}

impl Operand {
    /// What is left at the end of a pipeline.
    pub(super) fn unwrapped(self) -> Self {
        match self {
            Self::Value(Value::Nil) => Self::Nothing,
            other => other,
        }
    }

    pub(super) fn into_value(self) -> Value {
        match self {
            Self::Nothing => Value::Nil,
            Self::Value(value) => value,
        }
    }

    pub(super) fn is_true(&self) -> bool {
        matches!(self, Self::Value(value) if value.is_true())
    }
}

impl From<Value> for Operand {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}
