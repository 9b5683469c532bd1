//! Walks a parsed template as Go's `text/template` does.
//!
//! gotmpl gives the lexer, the parser and the syntax tree. Its own executor is not used because charts depend on what
//! it leaves out: method calls (`.Files.Get "x"`), dicts changed in place by `set`, an error instead of nothing for a
//! field of nil, and the place of a failure.

mod expression;
mod field;
mod iterate;
mod operand;

use std::rc::Rc;

use gotmpl::parse::{BranchNode, ListNode, Node, Pos};

use self::operand::Operand;
use crate::engine::{Engine, Source};
use crate::fault::Fault;
use crate::gofmt;
use crate::value::Value;

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
    variables: Vec<(String, Operand)>,
}

impl<'e> Frame<'e> {
    /// A template that is called without data has nothing for its dot.
    pub(crate) fn new(engine: &'e Engine, source: Rc<Source>, data: Value) -> Self {
        Self { engine, source, variables: vec![("$".to_owned(), Operand::from(data).unwrapped())] }
    }

    pub(crate) fn run(&mut self, body: &ListNode, out: &mut String) -> Result<(), Fault> {
        let dot = self.variables[0].1.clone();
        self.walk(body, &dot, out).map(|_| ())
    }

    fn walk(&mut self, list: &ListNode, dot: &Operand, out: &mut String) -> Result<Flow, Fault> {
        for node in &list.nodes {
            let flow = self.node(node, dot, out)?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn node(&mut self, node: &Node, dot: &Operand, out: &mut String) -> Result<Flow, Fault> {
        match node {
            Node::Text(text) => out.push_str(&text.text),
            Node::Action(action) => {
                let value = self.pipe(&action.pipe, dot)?;
                if action.pipe.decl.is_empty() {
                    match value {
                        Operand::Nothing | Operand::Value(Value::Nil) => out.push_str("<no value>"),
                        Operand::Value(Value::Str(text)) => out.push_str(&text),
                        Operand::Value(other) => out.push_str(&gofmt::display(&other)),
                    }
                }
            }
            Node::If(branch) => return self.branch(branch, dot, false, out),
            Node::With(branch) => return self.branch(branch, dot, true, out),
            Node::Range(branch) => return self.range(branch, dot, out),
            Node::Template(call) => {
                let data = call.pipe.as_ref().map_or(Ok(Operand::Nothing), |pipe| self.pipe(pipe, dot))?.into_value();
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
    fn branch(&mut self, branch: &BranchNode, dot: &Operand, moves_dot: bool, out: &mut String) -> Result<Flow, Fault> {
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

    fn variable(&self, name: &str, pos: Pos) -> Result<Operand, Fault> {
        let found = self.variables.iter().rev().find(|(known, _)| known == name);
        found
            .map(|(_, value)| value.clone())
            .ok_or_else(|| self.at(pos, Fault::new(format!("undefined variable: {name}"))))
    }

    fn declare(&mut self, name: &str, value: Operand) {
        self.variables.push((name.to_owned(), value));
    }

    fn assign(&mut self, name: &str, value: Operand, pos: Pos) -> Result<(), Fault> {
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
