//! Pipelines, calls and expressions: what stands inside the braces and has a value.

use gotmpl::parse::{CommandNode, Expr, Number, PipeNode, Pos};

use super::{Frame, field};
use crate::fault::Fault;
use crate::funcs::{self, Call};
use crate::value::Value;

impl Frame<'_> {
    pub(super) fn pipe(&mut self, pipe: &PipeNode, dot: &Value) -> Result<Value, Fault> {
        let value = self.commands(pipe, dot)?;
        for name in &pipe.decl {
            if pipe.is_assign { self.assign(name, value.clone(), pipe.pos)? } else { self.declare(name, value.clone()) }
        }
        Ok(value)
    }

    /// The value of the last command; nothing is declared yet.
    pub(super) fn commands(&mut self, pipe: &PipeNode, dot: &Value) -> Result<Value, Fault> {
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
}
