//! Trees. What can be chained without end (`and`, `or`, `+`, `*`) is a list, so that trees are no deeper than
//! [`super::DEPTH_MAX`] times a constant.

use std::ops::Range;

/// A place in the text, in bytes.
pub(crate) type Span = Range<usize>;

/// What was parsed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Root {
    /// `editor(...) where condition`.
    Statement { editor: Call, condition: Option<Node> },
    /// A condition or value expression.
    Expression(Node),
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) kind: NodeKind,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NodeKind {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    Bytes(Vec<u8>),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
    Path(Path),
    /// Capitalized and not called: an enumeration symbol, or a function given by name.
    Name(String),
    Call(Call),
    Not(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    Compare(Box<Node>, Compare, Box<Node>),
    /// What is first, then what is done with it.
    Math(Box<Node>, Vec<(Math, Node)>),
    Negative(Box<Node>),
    Lambda(Vec<(String, Span)>, Box<Node>),
}

/// `span.attributes["k"][0]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Path {
    pub(crate) fields: Vec<(String, Span)>,
    /// Of the field of that number, in the order they stand there.
    pub(crate) keys: Vec<(usize, Key)>,
}

/// `["k"]`, `[0]`, `[expression]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key {
    pub(crate) index: Node,
}

/// `Function(a, name = b)["key"]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) name_span: Span,
    pub(crate) span: Span,
    pub(crate) arguments: Vec<(Option<(String, Span)>, Node)>,
    pub(crate) keys: Vec<Key>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compare {
    Eq,
    Ne,
    Lt,
    Le,
    Ge,
    Gt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Math {
    Add,
    Sub,
    Mul,
    Div,
}

impl Compare {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Ge => ">=",
            Self::Gt => ">",
        }
    }
}

impl Math {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
        }
    }
}

impl Node {
    /// Calls `visit` with this node and every node in it.
    pub(crate) fn walk<'n>(&'n self, visit: &mut dyn FnMut(&'n Node)) {
        visit(self);
        match &self.kind {
            NodeKind::List(nodes) | NodeKind::And(nodes) | NodeKind::Or(nodes) => {
                nodes.iter().for_each(|node| node.walk(visit));
            }
            NodeKind::Map(entries) => entries.iter().for_each(|(_, node)| node.walk(visit)),
            NodeKind::Path(path) => path.keys.iter().for_each(|(_, key)| key.index.walk(visit)),
            NodeKind::Call(call) => call.walk(visit),
            NodeKind::Not(node) | NodeKind::Negative(node) | NodeKind::Lambda(_, node) => node.walk(visit),
            NodeKind::Compare(left, _, right) => {
                left.walk(visit);
                right.walk(visit);
            }
            NodeKind::Math(first, rest) => {
                first.walk(visit);
                rest.iter().for_each(|(_, node)| node.walk(visit));
            }
            NodeKind::Nil
            | NodeKind::Bool(_)
            | NodeKind::Int(_)
            | NodeKind::Float(_)
            | NodeKind::Str(_)
            | NodeKind::Bytes(_)
            | NodeKind::Name(_) => {}
        }
    }
}

impl Call {
    pub(crate) fn walk<'n>(&'n self, visit: &mut dyn FnMut(&'n Node)) {
        self.arguments.iter().for_each(|(_, node)| node.walk(visit));
        self.keys.iter().for_each(|key| key.index.walk(visit));
    }
}
