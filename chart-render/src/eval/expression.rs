//! Pipelines, calls and expressions: what stands inside the braces and has a value.

use gotmpl::parse::{CommandNode, Expr, Number, PipeNode, Pos};

use super::{Frame, Operand, field};
use crate::fault::Fault;
use crate::funcs::{self, Call, Untyped};
use crate::value::Value;

/// Evaluated arguments.
#[derive(Default)]
struct Arguments {
    values: Vec<Value>,
    untyped: Untyped,
}

impl Arguments {
    fn push(&mut self, operand: Operand, is_literal: bool) {
        if is_literal || matches!(operand, Operand::Nothing) {
            self.untyped.mark(self.values.len());
        }
        self.values.push(operand.into_value());
    }
}

impl Frame<'_> {
    /// The value of a pipeline, kept in the variables that it declares or assigns.
    pub(super) fn pipe(&mut self, pipe: &PipeNode, dot: &Operand) -> Result<Operand, Fault> {
        let mut piped = None;
        for command in &pipe.commands {
            piped = Some(self.command(command, dot, piped)?.unwrapped());
        }
        let value = piped.unwrap_or(Operand::Nothing);
        for name in &pipe.decl {
            if pipe.is_assign { self.assign(name, value.clone(), pipe.pos)? } else { self.declare(name, value.clone()) }
        }
        Ok(value)
    }

    /// One command: a function or method with arguments, or a plain value. The piped value becomes the last argument.
    fn command(&mut self, command: &CommandNode, dot: &Operand, piped: Option<Operand>) -> Result<Operand, Fault> {
        let Some((first, rest)) = command.args.split_first() else { return Ok(Operand::Nothing) };
        match first {
            Expr::Identifier(pos, name) => self.call(name, *pos, rest, dot, piped),
            Expr::Chain(pos, inner, fields) => {
                let receiver = self.expr(inner, dot)?;
                self.fields(receiver, fields, *pos, rest, dot, piped)
            }
            Expr::Field(pos, fields) => self.fields(dot.clone(), fields, *pos, rest, dot, piped),
            Expr::Variable(pos, name, fields) if !fields.is_empty() => {
                self.fields(self.variable(name, *pos)?, fields, *pos, rest, dot, piped)
            }
            Expr::Nil(pos) => Err(self.at(*pos, Fault::new("nil is not a command"))),
            value if rest.is_empty() && piped.is_none() => self.expr(value, dot),
            other => Err(self.at(other.pos(), Fault::new("can't give argument to non-function"))),
        }
    }

    fn arguments(&mut self, exprs: &[Expr], dot: &Operand, piped: Option<Operand>) -> Result<Arguments, Fault> {
        let mut arguments = Arguments::default();
        for expr in exprs {
            let operand = self.expr(expr, dot)?;
            arguments.push(operand, matches!(expr, Expr::Nil(_) | Expr::Number(..)));
        }
        if let Some(piped) = piped {
            arguments.push(piped, false);
        }
        Ok(arguments)
    }

    fn call(
        &mut self,
        name: &str,
        pos: Pos,
        exprs: &[Expr],
        dot: &Operand,
        piped: Option<Operand>,
    ) -> Result<Operand, Fault> {
        if name == "and" || name == "or" {
            return self.short_circuit(name == "or", pos, exprs, dot, piped);
        }
        let Arguments { values, untyped } = self.arguments(exprs, dot, piped)?;
        funcs::call(&Call { name, arguments: &values, untyped, engine: self.engine })
            .map(Operand::Value)
            .map_err(|fault| self.at(pos, fault))
    }

    /// `and` and `or` stop at the first argument that decides.
    fn short_circuit(
        &mut self,
        stop_on: bool,
        pos: Pos,
        exprs: &[Expr],
        dot: &Operand,
        piped: Option<Operand>,
    ) -> Result<Operand, Fault> {
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

    fn expr(&mut self, expr: &Expr, dot: &Operand) -> Result<Operand, Fault> {
        let value = match expr {
            Expr::Dot(_) => return Ok(dot.clone()),
            Expr::Field(pos, fields) => return self.fields(dot.clone(), fields, *pos, &[], dot, None),
            Expr::Variable(pos, name, fields) => {
                return self.fields(self.variable(name, *pos)?, fields, *pos, &[], dot, None);
            }
            Expr::Identifier(pos, name) => return self.call(name, *pos, &[], dot, None),
            Expr::Pipe(_, pipe) => return self.pipe(pipe, dot),
            Expr::Chain(pos, inner, fields) => {
                let receiver = self.expr(inner, dot)?;
                return self.fields(receiver, fields, *pos, &[], dot, None);
            }
            Expr::String(_, text) => Value::str(text),
            Expr::Number(_, Number::Int(integer)) => Value::Int(*integer),
            Expr::Number(_, Number::Float(float)) => Value::Float(*float),
            Expr::Number(pos, Number::Uint(integer)) => {
                return Err(self.at(*pos, Fault::new(format!("{integer} overflows int"))));
            }
            Expr::Bool(_, value) => Value::Bool(*value),
            Expr::Nil(_) => Value::Nil,
        };
        Ok(Operand::Value(value))
    }

    /// Follows `.a.b.c`; arguments go to the last name, which must then be a method.
    fn fields<S: AsRef<str>>(
        &mut self,
        receiver: Operand,
        names: &[S],
        pos: Pos,
        exprs: &[Expr],
        dot: &Operand,
        piped: Option<Operand>,
    ) -> Result<Operand, Fault> {
        let Some((last, before)) = names.split_last() else { return Ok(receiver) };
        let mut value = receiver;
        let mut behind = "";
        for name in before {
            if !field::is_values_as_map(behind, name.as_ref()) {
                value = field::of(&value, name.as_ref(), &[]).map_err(|fault| self.at(pos, fault))?;
            }
            behind = name.as_ref();
        }
        if exprs.is_empty() && piped.is_none() && field::is_values_as_map(behind, last.as_ref()) {
            return Ok(value);
        }
        let arguments = self.arguments(exprs, dot, piped)?;
        field::of(&value, last.as_ref(), &arguments.values).map_err(|fault| self.at(pos, fault))
    }
}
