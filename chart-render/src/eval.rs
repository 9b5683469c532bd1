//! Walks a parsed template as Go's `text/template` does.
//!
//! gotmpl gives the lexer, the parser and the syntax tree. Its own executor is not used because charts depend on what
//! it leaves out: method calls (`.Files.Get "x"`), dicts changed in place by `set`, an error instead of nothing for a
//! field of nil, and the place of a failure.

mod expression;
mod field;

use std::rc::Rc;

use gotmpl::parse::{BranchNode, ListNode, Node, Pos};

use crate::bytes;
use crate::engine::{Engine, Source};
use crate::fault::Fault;
use crate::gofmt;
use crate::value::{Object, Value};

/// What a node asks of the loop around it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

/// The execution of one template.
pub(crate) struct Frame<'e> {
    engine: &'e Engine,
    source: Rc<Source>,
    variables: Vec<(String, Value)>,
    /// The template was called without data. Fields of such a dot are nothing; fields of any other nil are an error.
    no_data: bool,
}

impl<'e> Frame<'e> {
    pub(crate) fn new(engine: &'e Engine, source: Rc<Source>, data: Value) -> Self {
        let no_data = matches!(data, Value::Nil);
        Self { engine, source, variables: vec![("$".to_owned(), data)], no_data }
    }

    pub(crate) fn run(&mut self, body: &ListNode, out: &mut String) -> Result<(), Fault> {
        let dot = self.variables[0].1.clone();
        self.walk(body, &dot, out).map(|_| ())
    }

    fn walk(&mut self, list: &ListNode, dot: &Value, out: &mut String) -> Result<Flow, Fault> {
        for node in &list.nodes {
            let flow = self.node(node, dot, out)?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn node(&mut self, node: &Node, dot: &Value, out: &mut String) -> Result<Flow, Fault> {
        match node {
            Node::Text(text) => out.push_str(&text.text),
            Node::Action(action) => {
                let value = self.pipe(&action.pipe, dot)?;
                if action.pipe.decl.is_empty() {
                    match value {
                        Value::Nil => out.push_str("<no value>"),
                        Value::Str(text) => out.push_str(&text),
                        other => out.push_str(&gofmt::display(&other)),
                    }
                }
            }
            Node::If(branch) => return self.branch(branch, dot, false, out),
            Node::With(branch) => return self.branch(branch, dot, true, out),
            Node::Range(branch) => return self.range(branch, dot, out),
            Node::Template(call) => {
                let data = call.pipe.as_ref().map_or(Ok(Value::Nil), |pipe| self.pipe(pipe, dot))?;
                let tree = self.engine.tree(&call.name).map_err(|fault| self.at(call.pos, fault))?;
                Frame::new(self.engine, Rc::clone(&tree.source), data)
                    .run(&tree.body, out)
                    .map_err(|fault| self.at(call.pos, fault))?;
            }
            Node::Define(_) => {}
            Node::List(list) => return self.walk(list, dot, out),
            Node::Break(_) => return Ok(Flow::Break),
            Node::Continue(_) => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    /// `if`, and `with`, which also moves the dot.
    fn branch(&mut self, branch: &BranchNode, dot: &Value, moves_dot: bool, out: &mut String) -> Result<Flow, Fault> {
        let mark = self.variables.len();
        let value = self.pipe(&branch.pipe, dot)?;
        let flow = match (value.is_true(), &branch.else_body) {
            (true, _) => self.walk(&branch.body, if moves_dot { &value } else { dot }, out),
            (false, Some(body)) => self.walk(body, dot, out),
            (false, None) => Ok(Flow::Next),
        };
        self.variables.truncate(mark);
        flow
    }

    fn range(&mut self, branch: &BranchNode, dot: &Value, out: &mut String) -> Result<Flow, Fault> {
        let mark = self.variables.len();
        let value = self.commands(&branch.pipe, dot)?;
        let items: Vec<(Value, Value)> = match &value {
            Value::Nil => Vec::new(),
            Value::List(items) => {
                (0_i64..).zip(items.iter()).map(|(index, item)| (Value::Int(index), item.clone())).collect()
            }
            Value::Map(map) => map.borrow().iter().map(|(key, item)| (Value::str(key), item.clone())).collect(),
            Value::Object(Object::Files(files)) => {
                let text = |data: &Vec<u8>| Value::str(bytes::to_text(data));
                files.iter().map(|(path, data)| (Value::str(path), text(data))).collect()
            }
            Value::Int(count) | Value::Int64(count) => {
                if branch.pipe.decl.len() > 1 {
                    let message = format!("can't use {count} to iterate over more than one variable");
                    return Err(self.at(branch.pos, Fault::new(message)));
                }
                let wrap = if matches!(value, Value::Int(_)) { Value::Int } else { Value::Int64 };
                (0..*count).map(|index| (wrap(index), wrap(index))).collect()
            }
            other => {
                let message = format!("range can't iterate over {}", gofmt::display(other));
                return Err(self.at(branch.pos, Fault::new(message)));
            }
        };
        if items.is_empty() {
            return branch.else_body.as_ref().map_or(Ok(Flow::Next), |body| self.walk(body, dot, out));
        }
        for (key, item) in items {
            let names = &branch.pipe.decl;
            let bound = match names.as_slice() {
                [] => Vec::new(),
                [only] => vec![(only, item.clone())],
                [first, second, ..] => vec![(first, key), (second, item.clone())],
            };
            for (name, value) in bound {
                if branch.pipe.is_assign { self.assign(name, value, branch.pos)? } else { self.declare(name, value) }
            }
            let flow = self.walk(&branch.body, &item, out)?;
            self.variables.truncate(mark);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::Next)
    }

    fn variable(&self, name: &str, pos: Pos) -> Result<Value, Fault> {
        let found = self.variables.iter().rev().find(|(known, _)| known == name);
        found
            .map(|(_, value)| value.clone())
            .ok_or_else(|| self.at(pos, Fault::new(format!("undefined variable: {name}"))))
    }

    fn declare(&mut self, name: &str, value: Value) {
        self.variables.push((name.to_owned(), value));
    }

    fn assign(&mut self, name: &str, value: Value, pos: Pos) -> Result<(), Fault> {
        match self.variables.iter_mut().rev().find(|(known, _)| known == name) {
            Some((_, slot)) => {
                *slot = value;
                Ok(())
            }
            None => Err(self.at(pos, Fault::new(format!("undefined variable: {name}")))),
        }
    }

    /// Notes the place of a failure. Nested expressions of one action report once, at the innermost place.
    fn at(&self, pos: Pos, mut fault: Fault) -> Fault {
        fault.sites.push(self.source.site(pos));
        fault
    }
}
