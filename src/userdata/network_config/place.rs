//! Places in a network configuration, and findings about them.

use std::{ops::Range, rc::Rc};

use crate::{
    suggestion::{self, did_you_mean},
    userdata::{
        finding::{Code, Finding, push_bounded, shortened},
        schema::{push_item, push_key, quoted},
        yaml::{NodeId, Tree},
    },
};

/// How many items of a list are checked for what needs every other one.
pub(super) const PAIRS_MAX: usize = 64;

#[derive(Debug)]
enum Link {
    Root(String),
    Key(Rc<Link>, NodeId),
    Item(Rc<Link>, usize),
}

/// A node and its path.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) node: NodeId,
    pub(super) key: Option<NodeId>,
    link: Rc<Link>,
}

impl Place {
    pub(super) fn root(node: NodeId, path: &str) -> Self {
        Self { node, key: None, link: Rc::new(Link::Root(path.to_owned())) }
    }

    /// The value of a key.
    pub(super) fn get(&self, tree: &Tree<'_>, key: &str) -> Option<Self> {
        let member = tree.member(self.node, key)?;
        let link = Rc::new(Link::Key(Rc::clone(&self.link), member.key));
        Some(Self { node: member.value, key: Some(member.key), link })
    }

    /// The values of a mapping.
    pub(super) fn members<'t>(&'t self, tree: &'t Tree<'_>) -> impl Iterator<Item = Self> + 't {
        tree.members(self.node).iter().map(|member| {
            let link = Rc::new(Link::Key(Rc::clone(&self.link), member.key));
            Self { node: member.value, key: Some(member.key), link }
        })
    }

    /// The items of a list.
    pub(super) fn items<'t>(&'t self, tree: &'t Tree<'_>) -> impl Iterator<Item = Self> + 't {
        tree.items(self.node).iter().enumerate().map(|(number, &node)| Self {
            node,
            key: None,
            link: Rc::new(Link::Item(Rc::clone(&self.link), number)),
        })
    }

    /// The items of a list, or the value itself if it is a string.
    pub(super) fn strings<'t>(&'t self, tree: &'t Tree<'_>) -> impl Iterator<Item = Self> + 't {
        let one = tree.string(self.node).map(|_| self.clone());
        one.into_iter().chain(self.items(tree))
    }

    /// Its name: the key that it is the value of.
    pub(super) fn name<'t>(&self, tree: &'t Tree<'_>) -> Option<&'t str> {
        tree.string(self.key?)
    }

    fn path(&self, tree: &Tree<'_>) -> String {
        let mut links = vec![&self.link];
        let mut link = &self.link;
        while let Link::Key(above, _) | Link::Item(above, _) = &**link {
            links.push(above);
            link = above;
        }
        let mut path = String::new();
        for link in links.into_iter().rev() {
            match &**link {
                Link::Root(root) => path.push_str(root),
                Link::Key(_, key) => push_key(&mut path, tree.text(*key).unwrap_or("~")),
                Link::Item(_, number) => push_item(&mut path, *number),
            }
        }
        path
    }
}

/// Takes findings.
pub(super) struct Report<'a, 't> {
    pub(super) tree: &'t Tree<'t>,
    findings: &'a mut Vec<Finding>,
    suggestions: suggestion::Budget,
}

impl<'a, 't> Report<'a, 't> {
    pub(super) fn new(tree: &'t Tree<'t>, findings: &'a mut Vec<Finding>) -> Self {
        Self { tree, findings, suggestions: suggestion::Budget::default() }
    }

    /// A finding about a value.
    pub(super) fn push(&mut self, code: Code, place: &Place, message: String, hint: Option<String>) {
        let span = match place.key {
            Some(key) if self.tree.scalar(place.node).is_none() => self.tree.span(key),
            _ => self.tree.span(place.node),
        };
        self.push_at(code, place, span, message, hint);
    }

    /// A finding about a key.
    pub(super) fn push_at_key(&mut self, code: Code, place: &Place, message: String) {
        let span = self.tree.span(place.key.unwrap_or(place.node));
        self.push_at(code, place, span, message, None);
    }

    fn push_at(
        &mut self,
        code: Code,
        place: &Place,
        span: Range<usize>,
        message: String,
        hint: Option<String>,
    ) {
        let path = shortened(&place.path(self.tree));
        push_bounded(self.findings, Finding { code, path, span, message, hint });
    }

    /// A finding about a name that no interface, or what else it is of, has.
    pub(super) fn unknown_name<'n>(
        &mut self,
        code: Code,
        place: &Place,
        what: &str,
        known: impl IntoIterator<Item = &'n str>,
    ) {
        let name = self.tree.string(place.node).unwrap_or_default();
        let nearest = self.suggestions.nearest(name, known).filter(|known| !differs_in_number(name, known));
        let hint = nearest.map(did_you_mean);
        self.push(code, place, format!("no {what} {} is defined", quoted(name)), hint);
    }
}

/// Whether names differ in their numbers only: who writes `eth1` does not mean `eth0`.
fn differs_in_number(name: &str, other: &str) -> bool {
    let letters = |text: &'_ str| text.chars().filter(|it| !it.is_ascii_digit()).collect::<String>();
    name != other && letters(name) == letters(other)
}
