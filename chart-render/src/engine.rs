//! All templates of one chart with its dependencies, parsed by gotmpl, and their execution.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use gotmpl::TemplateError;
use gotmpl::parse::{CommandNode, DefineNode, Expr, ListNode, Node, Parser, PipeNode, Pos};

use crate::cluster::Cluster;
use crate::eval::Frame;
use crate::fault::{Fault, Site};
use crate::funcs;
use crate::quirks;
use crate::value::Value;

/// Nested executions of one template before helm takes it for an endless recursion.
const MAX_NESTED_INCLUDES: usize = 1000;

/// A template file.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn site(&self, pos: Pos) -> Site {
        let offset = pos.offset.min(self.text.len());
        let before = self.text.get(..offset).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Site {
            file: self.name.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            excerpt: self.text[line_start..].lines().next().unwrap_or_default().to_owned(),
        }
    }
}

/// One named template: a file's body or a `define`.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) source: Rc<Source>,
    pub(crate) body: ListNode,
}

/// The set of templates that can see one another.
#[derive(Default)]
pub(crate) struct Engine {
    trees: BTreeMap<String, Rc<Tree>>,
    running: RefCell<HashMap<String, usize>>,
    cluster: Option<Cluster>,
}

impl Engine {
    /// An empty set whose templates ask this cluster.
    pub(crate) fn new(cluster: Option<Cluster>) -> Self {
        Self { cluster, ..Self::default() }
    }

    /// The cluster that templates ask.
    pub(crate) fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// Parses one file; its defines replace earlier ones of the same name, as in Go.
    pub(crate) fn add(&mut self, name: &str, text: &str) -> Result<(), Fault> {
        let source = Rc::new(Source { name: name.to_owned(), text: text.to_owned() });
        let (mut body, defines) = parse(&source)?;
        close(&mut body, &source)?;
        check(&body, &source, false)?;
        let mut names = BTreeSet::new();
        for define in defines {
            check(&define.body, &source, false)?;
            if !define.body.is_empty_tree() && !names.insert(define.name.clone()) {
                let message = format!("multiple definition of template {:?}", define.name);
                return Err(Fault { sites: vec![source.site(define.pos)], ..Fault::new(message) });
            }
            // Go keeps an earlier definition when the later one holds only blanks.
            if !(define.body.is_empty_tree() && self.trees.contains_key(define.name.as_str())) {
                let tree = Tree { source: Rc::clone(&source), body: define.body };
                self.trees.insert(define.name.to_string(), Rc::new(tree));
            }
        }
        self.trees.insert(name.to_owned(), Rc::new(Tree { source, body }));
        Ok(())
    }

    /// Runs a template on `dot`.
    pub(crate) fn execute(&self, name: &str, dot: &Value) -> Result<String, Fault> {
        let tree = self.tree(name)?;
        let mut out = String::new();
        Frame::new(self, Rc::clone(&tree.source), dot.clone()).run(&tree.body, &mut out)?;
        Ok(out)
    }

    /// `include`: like [`Engine::execute`], with helm's guard against endless recursion.
    pub(crate) fn include(&self, name: &str, dot: &Value) -> Result<String, Fault> {
        let depth = {
            let mut running = self.running.borrow_mut();
            let depth = running.entry(name.to_owned()).or_insert(0);
            *depth += 1;
            *depth
        };
        let result = if depth > MAX_NESTED_INCLUDES {
            Err(Fault::new(format!(
                "rendering template has a nested reference name: {name}: unable to execute template"
            )))
        } else {
            self.execute(name, dot)
        };
        if let Some(depth) = self.running.borrow_mut().get_mut(name) {
            *depth -= 1;
        }
        result
    }

    /// `tpl`: the text is a template that sees all others; what it defines ends with it.
    pub(crate) fn expand(&self, text: &str, dot: &Value) -> Result<String, Fault> {
        let mut nested = Self {
            trees: self.trees.clone(),
            running: RefCell::new(self.running.borrow().clone()),
            cluster: self.cluster.clone(),
        };
        nested.add("tpl", text)?;
        Ok(quirks::drop_no_value(&nested.include("tpl", dot)?))
    }

    pub(crate) fn tree(&self, name: &str) -> Result<Rc<Tree>, Fault> {
        self.trees
            .get(name)
            .cloned()
            .ok_or_else(|| Fault::new(format!("no template {name:?} associated with template \"gotpl\"")))
    }
}

/// Stands behind the text while it is parsed. gotmpl takes an unclosed `{{ if }}` and a surplus `{{ end }}` without a
/// word; either keeps this mark from being the last thing at the top level.
const END_MARK: char = '\u{1}';

fn parse(source: &Source) -> Result<(ListNode, Vec<DefineNode>), Fault> {
    let text = quirks::untangle_comments(&source.text);
    let text = format!("{}{END_MARK}", quirks::without_trailing_pipes(&text));
    Parser::new(&text, "{{", "}}").and_then(Parser::parse).map_err(|error| parse_fault(source, error))
}

/// Takes the end mark away.
fn close(body: &mut ListNode, source: &Source) -> Result<(), Fault> {
    if let Some(Node::Text(last)) = body.nodes.last_mut()
        && let Some(text) = last.text.strip_suffix(END_MARK)
    {
        last.text = text.into();
        return Ok(());
    }
    let end = Pos::new(source.text.trim_end().len(), 1);
    Err(Fault {
        sites: vec![source.site(end)],
        ..Fault::new("parse error: a block is not closed, or an {{end}} is too many")
    })
}

fn parse_fault(source: &Source, error: TemplateError) -> Fault {
    let (line, column, message) = match error {
        TemplateError::Parse { line, col, message, .. } | TemplateError::Lex { line, col, message, .. } => {
            (line, col, message)
        }
        other => (1, 1, other.to_string()),
    };
    let excerpt = source.text.lines().nth(line.saturating_sub(1)).unwrap_or_default().to_owned();
    let site = Site { file: source.name.clone(), line, column: column.max(1), excerpt };
    Fault { sites: vec![site], ..Fault::new(format!("parse error: {message}")) }
}

/// Go refuses an unknown function while parsing, used or not, and a `break` outside of a loop.
fn check(list: &ListNode, source: &Source, in_range: bool) -> Result<(), Fault> {
    list.nodes.iter().try_for_each(|node| match node {
        Node::List(inner) => check(inner, source, in_range),
        Node::Action(action) => check_pipe(&action.pipe, source),
        Node::If(branch) | Node::Range(branch) | Node::With(branch) => {
            check_pipe(&branch.pipe, source)?;
            check(&branch.body, source, in_range || matches!(node, Node::Range(_)))?;
            branch.else_body.as_ref().map_or(Ok(()), |body| check(body, source, in_range))
        }
        Node::Template(call) => call.pipe.as_ref().map_or(Ok(()), |pipe| check_pipe(pipe, source)),
        Node::Define(define) => check(&define.body, source, false),
        Node::Break(pos) | Node::Continue(pos) if !in_range => {
            let message = "parse error: {{break}} or {{continue}} outside {{range}}";
            Err(Fault { sites: vec![source.site(*pos)], ..Fault::new(message) })
        }
        Node::Text(_) | Node::Break(_) | Node::Continue(_) => Ok(()),
    })
}

fn check_pipe(pipe: &PipeNode, source: &Source) -> Result<(), Fault> {
    for CommandNode { args, .. } in &pipe.commands {
        for (index, expr) in args.iter().enumerate() {
            let before = source.text.get(..expr.pos().offset).and_then(|before| before.chars().next_back());
            if index > 0 && before.is_some_and(|before| !before.is_whitespace()) {
                let message = "parse error: unexpected text in operand; arguments need a blank before them";
                return Err(Fault { sites: vec![source.site(expr.pos())], ..Fault::new(message) });
            }
            check_expr(expr, source)?;
        }
    }
    Ok(())
}

fn check_expr(expr: &Expr, source: &Source) -> Result<(), Fault> {
    match expr {
        Expr::Identifier(pos, name) if !funcs::is_known(name) => {
            Err(Fault { sites: vec![source.site(*pos)], ..Fault::new(format!("function {name:?} not defined")) })
        }
        Expr::Pipe(_, pipe) => check_pipe(pipe, source),
        Expr::Chain(_, inner, _) => check_expr(inner, source),
        _ => Ok(()),
    }
}
