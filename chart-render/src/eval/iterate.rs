//! `range`: what it goes through, and what its variables hold.

use gotmpl::parse::BranchNode;

use super::{Flow, Frame, Operand};
use crate::bytes;
use crate::fault::Fault;
use crate::gofmt;
use crate::value::{Object, Value};

impl Frame<'_> {
    pub(super) fn range(&mut self, branch: &BranchNode, dot: &Operand, out: &mut String) -> Result<Flow, Fault> {
        let before = self.variables.len();
        // The variables exist from here on, with all that is gone through as their value; `else` sees that.
        let value = self.pipe(&branch.pipe, dot)?;
        let names = branch.pipe.decl.as_slice();
        let items = items(value.into_value(), names.len()).map_err(|fault| self.at(branch.pos, fault))?;
        let mark = self.variables.len();
        let mut flow = Ok(Flow::Next);
        if items.is_empty()
            && let Some(body) = &branch.else_body
        {
            flow = self.walk(body, dot, out);
        }
        for (key, item) in items {
            // Unlike what leaves a pipeline, an item that is nil stays an empty interface.
            let item = Operand::Value(item);
            let bound = match names {
                [] => vec![],
                [only] => vec![(only, item.clone())],
                [first, second, ..] => vec![(first, Operand::Value(key)), (second, item.clone())],
            };
            for (name, value) in bound {
                self.assign(name, value, branch.pos)?;
            }
            let went = self.walk(&branch.body, &item, out)?;
            self.variables.truncate(mark);
            if went == Flow::Break {
                break;
            }
        }
        self.variables.truncate(before);
        flow
    }
}

/// Index and item, or key and value in the order of the keys.
fn items(value: Value, variables: usize) -> Result<Vec<(Value, Value)>, Fault> {
    let counted = |items: &[Value]| {
        (0_i64..).zip(items).map(|(index, item)| (Value::Int(index), item.clone())).collect::<Vec<_>>()
    };
    Ok(match value {
        Value::Nil => Vec::new(),
        Value::List(items) => counted(&items),
        Value::Map(map) => map.borrow().iter().map(|(key, item)| (Value::str(key), item.clone())).collect(),
        Value::Object(Object::Texts(texts)) => {
            texts.iter().map(|(key, text)| (Value::str(key), Value::str(text))).collect()
        }
        Value::Object(Object::Files(files)) => {
            files.iter().map(|(path, data)| (Value::str(path), Value::str(bytes::to_text(data)))).collect()
        }
        Value::Object(Object::ApiVersions(versions)) => counted(&versions.iter().map(Value::str).collect::<Vec<_>>()),
        Value::Int(count) | Value::Int64(count) => {
            if variables > 1 {
                return Err(Fault::new(format!("can't use {count} to iterate over more than one variable")));
            }
            let wrap = if matches!(value, Value::Int(_)) { Value::Int } else { Value::Int64 };
            (0..count).map(|index| (wrap(index), wrap(index))).collect()
        }
        other => return Err(Fault::new(format!("range can't iterate over {}", gofmt::display(&other)))),
    })
}
