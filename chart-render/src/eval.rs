//! Walks a parsed template as Go's `text/template` does.
//!
//! gotmpl gives the lexer, the parser and the syntax tree. Its own executor is not used because charts depend on what
//! it leaves out: method calls (`.Files.Get "x"`), dicts changed in place by `set`, an error instead of nothing for a
//! field of nil, and the place of a failure.

mod field;

use std::rc::Rc;

use gotmpl::parse::{BranchNode, CommandNode, Expr, ListNode, Node, Number, PipeNode, Pos};

use crate::bytes;
use crate::engine::{Engine, Source};
use crate::fault::Fault;
use crate::funcs::{self, Call};
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

    fn pipe(&mut self, pipe: &PipeNode, dot: &Value) -> Result<Value, Fault> {
        let value = self.commands(pipe, dot)?;
        for name in &pipe.decl {
            if pipe.is_assign { self.assign(name, value.clone(), pipe.pos)? } else { self.declare(name, value.clone()) }
        }
        Ok(value)
    }

    fn commands(&mut self, pipe: &PipeNode, dot: &Value) -> Result<Value, Fault> {
        let mut piped = None;
        for command in &pipe.commands {
            piped = Some(self.command(command, dot, piped)?);
        }
        Ok(piped.unwrap_or(Value::Nil))
    }

    /// One command: a function or method with arguments, or a plain value. The piped value becomes the last argument.
    fn command(&mut self, command: &CommandNode, dot: &Value, piped: Option<Value>) -> Result<Value, Fault> {
        let Some((first, rest)) = command.args.split_first() else { return Ok(Value::Nil) };
        match first {
            Expr::Identifier(pos, name) => self.call(name, *pos, rest, dot, piped),
            Expr::Chain(pos, inner, fields) => {
                let receiver = match &**inner {
                    Expr::Identifier(pos, name) => {
                        return self
                            .call(name, *pos, rest, dot, piped)
                            .and_then(|value| self.fields(value, fields, *pos, false, &[]));
                    }
                    other => self.expr(other, dot)?,
                };
                let arguments = self.arguments(rest, dot, piped)?;
                self.fields(receiver, fields, *pos, false, &arguments)
            }
            Expr::Field(pos, fields) => {
                let arguments = self.arguments(rest, dot, piped)?;
                self.fields(dot.clone(), fields, *pos, self.no_data, &arguments)
            }
            Expr::Variable(pos, name, fields) if !fields.is_empty() => {
                let arguments = self.arguments(rest, dot, piped)?;
                let lenient = self.no_data && name == "$";
                self.fields(self.variable(name, *pos)?, fields, *pos, lenient, &arguments)
            }
            Expr::Nil(pos) => Err(self.at(*pos, Fault::new("nil is not a command"))),
            value if rest.is_empty() && piped.is_none() => self.expr(value, dot),
            other => Err(self.at(other.pos(), Fault::new("can't give argument to non-function"))),
        }
    }

    fn arguments(&mut self, exprs: &[Expr], dot: &Value, piped: Option<Value>) -> Result<Vec<Value>, Fault> {
        let mut arguments = exprs.iter().map(|expr| self.expr(expr, dot)).collect::<Result<Vec<_>, _>>()?;
        arguments.extend(piped);
        Ok(arguments)
    }

    fn call(
        &mut self,
        name: &str,
        pos: Pos,
        exprs: &[Expr],
        dot: &Value,
        piped: Option<Value>,
    ) -> Result<Value, Fault> {
        if name == "and" || name == "or" {
            return self.short_circuit(name == "or", pos, exprs, dot, piped);
        }
        let arguments = self.arguments(exprs, dot, piped)?;
        funcs::call(&Call { name, arguments: &arguments, engine: self.engine }).map_err(|fault| self.at(pos, fault))
    }

    /// `and` and `or` stop at the first argument that decides.
    fn short_circuit(
        &mut self,
        stop_on: bool,
        pos: Pos,
        exprs: &[Expr],
        dot: &Value,
        piped: Option<Value>,
    ) -> Result<Value, Fault> {
        let mut last = None;
        for expr in exprs {
            let value = self.expr(expr, dot)?;
            if value.is_true() == stop_on {
                return Ok(value);
            }
            last = Some(value);
        }
        piped.or(last).ok_or_else(|| self.at(pos, Fault::new("wrong number of args: want at least 1 got 0")))
    }

    fn expr(&mut self, expr: &Expr, dot: &Value) -> Result<Value, Fault> {
        match expr {
            Expr::Dot(_) => Ok(dot.clone()),
            Expr::Field(pos, fields) => self.fields(dot.clone(), fields, *pos, self.no_data, &[]),
            Expr::Variable(pos, name, fields) => {
                let lenient = self.no_data && name == "$";
                self.fields(self.variable(name, *pos)?, fields, *pos, lenient, &[])
            }
            Expr::Identifier(pos, name) => self.call(name, *pos, &[], dot, None),
            Expr::String(_, text) => Ok(Value::str(text)),
            Expr::Number(_, Number::Int(integer)) => Ok(Value::Int(*integer)),
            Expr::Number(_, Number::Float(float)) => Ok(Value::Float(*float)),
            Expr::Number(pos, Number::Uint(integer)) => {
                Err(self.at(*pos, Fault::new(format!("{integer} overflows int"))))
            }
            Expr::Bool(_, value) => Ok(Value::Bool(*value)),
            Expr::Nil(_) => Ok(Value::Nil),
            Expr::Pipe(_, pipe) => self.pipe(pipe, dot),
            Expr::Chain(pos, inner, fields) => {
                let receiver = self.expr(inner, dot)?;
                self.fields(receiver, fields, *pos, false, &[])
            }
        }
    }

    /// Follows `.a.b.c`; arguments go to the last name, which must then be a method.
    fn fields<S: AsRef<str>>(
        &self,
        receiver: Value,
        names: &[S],
        pos: Pos,
        lenient: bool,
        arguments: &[Value],
    ) -> Result<Value, Fault> {
        let mut value = receiver;
        for (index, name) in names.iter().enumerate() {
            let arguments = if index + 1 == names.len() { arguments } else { &[] };
            value = field::of(&value, name.as_ref(), lenient, arguments).map_err(|fault| self.at(pos, fault))?;
        }
        Ok(value)
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
