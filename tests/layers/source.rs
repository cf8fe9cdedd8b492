//! What the files of a tree import and show, by their syntax: `use` trees, paths in code, and paths in macros.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::{
    Fields, Item, ItemMod, ItemUse, Macro, Signature, UseTree, Visibility,
    spanned::Spanned,
    visit::{self, Visit},
};

/// The name by which the program calls the library.
const LIBRARY: &str = "metadata_image";

/// A path that code names, in full.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Named {
    pub(crate) path: String,
    pub(crate) line: usize,
}

/// A path that leads to another file.
#[derive(Clone, Debug)]
pub(crate) struct Import {
    pub(crate) path: String,
    pub(crate) line: usize,
    /// The file that defines what is imported.
    pub(crate) target: String,
}

/// A file of the tree.
#[derive(Debug, Default)]
pub(crate) struct File {
    /// From the top of the tree, with `/`.
    pub(crate) path: String,
    /// Paths that begin with `crate`.
    inside: BTreeSet<Named>,
    /// Paths that begin with the name of a crate, `std` among them.
    pub(crate) crates: BTreeSet<Named>,
    /// Those of them that public items show.
    pub(crate) public: BTreeSet<Named>,
    /// What the module calls by a name of its own for others, and where that comes from.
    exports: BTreeMap<String, String>,
    /// What it takes from other files.
    pub(crate) imports: Vec<Import>,
}

/// All files below a directory.
pub(crate) struct Tree {
    /// By path of module, `crate::…`. The program's root is `crate::main`.
    modules: BTreeMap<String, File>,
}

impl Tree {
    /// Reads every Rust file below a directory.
    pub(crate) fn read(directory: &Path) -> Self {
        let mut texts = BTreeMap::new();
        for entry in walkdir::WalkDir::new(directory) {
            let entry = entry.unwrap();
            if entry.path().extension().is_some_and(|extension| extension == "rs") {
                let path = entry.path().strip_prefix(directory).unwrap().to_str().unwrap().to_owned();
                texts.insert(path, fs::read_to_string(entry.path()).unwrap());
            }
        }
        Self::new(texts)
    }

    /// The tree of these files and their text.
    pub(crate) fn new(texts: BTreeMap<String, String>) -> Self {
        let modules: BTreeMap<_, _> =
            texts.into_iter().map(|(path, text)| (module(&path), (path, text))).collect();
        let names: BTreeSet<_> = modules.keys().cloned().collect();
        let read = modules.into_iter().map(|(module, (path, text))| {
            let syntax = syn::parse_file(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
            let mut reader = Reader::new(&names, &module);
            reader.visit_file(&syntax);
            (module, File { path, ..reader.file })
        });
        let mut tree = Self { modules: read.collect() };
        let imports: Vec<_> = tree.modules.values().map(|file| tree.imports(file)).collect();
        for (file, imports) in tree.modules.values_mut().zip(imports) {
            file.imports = imports;
        }
        tree
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = &File> {
        self.modules.values()
    }

    /// The file at a path that [`Import::target`] gives.
    pub(crate) fn file(&self, path: &str) -> &File {
        &self.modules[&module(path)]
    }

    fn imports(&self, file: &File) -> Vec<Import> {
        let import = |named: &Named| {
            let target = self.defining(&named.path)?.path.clone();
            (target != file.path).then(|| Import { path: named.path.clone(), line: named.line, target })
        };
        file.inside.iter().filter_map(import).collect()
    }

    /// The file that defines what a path names, which may be known in another module by another name.
    fn defining(&self, path: &str) -> Option<&File> {
        let mut path = path.to_owned();
        // As often as one name can stand for another.
        for _ in 0..=self.modules.len() {
            let module = ancestors(&path).find(|module| self.modules.contains_key(*module))?;
            let file = &self.modules[module];
            let rest = path[module.len()..].trim_start_matches("::");
            let (first, after) = rest.split_once("::").unwrap_or((rest, ""));
            let Some(origin) = file.exports.get(first) else { return Some(file) };
            path = if after.is_empty() { origin.clone() } else { format!("{origin}::{after}") };
        }
        None
    }
}

/// A path, then what it is in, and so on.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| path.rsplit_once("::").map(|(above, _)| above))
}

/// The module of a file.
fn module(path: &str) -> String {
    let stem = path.strip_suffix(".rs").unwrap();
    let stem = stem.strip_suffix("/mod").unwrap_or(stem);
    if stem == "lib" { "crate".to_owned() } else { format!("crate::{}", stem.replace('/', "::")) }
}

/// Reads one file.
struct Reader<'a> {
    /// All modules that are files.
    names: &'a BTreeSet<String>,
    /// The module at this point, and whether it is a file itself.
    module: Vec<String>,
    file: File,
    /// What names mean here that are not paths from the top.
    aliases: BTreeMap<String, String>,
}

impl<'a> Reader<'a> {
    fn new(names: &'a BTreeSet<String>, module: &str) -> Self {
        let module = module.split("::").map(str::to_owned).collect();
        Self { names, module, file: File::default(), aliases: BTreeMap::new() }
    }

    /// The path in full; `None`: a local name.
    fn full(&self, path: &[String]) -> Option<String> {
        let (first, rest) = path.split_first()?;
        let above = |levels: usize| self.module[..self.module.len() - levels].to_vec();
        let start = match first.as_str() {
            "crate" | LIBRARY => vec!["crate".to_owned()],
            "self" => above(0),
            "super" => {
                let more = rest.iter().take_while(|part| *part == "super").count();
                let mut start = above(1 + more);
                start.extend_from_slice(&rest[more..]);
                return Some(start.join("::"));
            }
            name => {
                let child = format!("{}::{name}", self.module.join("::"));
                if let Some(full) = self.aliases.get(name) {
                    full.split("::").map(str::to_owned).collect()
                } else {
                    vec![if self.names.contains(&child) { child } else { name.to_owned() }]
                }
            }
        };
        Some(start.into_iter().chain(rest.iter().cloned()).collect::<Vec<_>>().join("::"))
    }

    fn note(&mut self, path: &[String], span: Span) {
        let Some(path) = self.full(path) else { return };
        let named = Named { path, line: span.start().line };
        if named.path.starts_with("crate::") {
            self.file.inside.insert(named);
        } else if named.path.contains("::") || named.path.chars().next().is_some_and(char::is_lowercase) {
            self.file.crates.insert(named);
        }
    }

    /// Every name of a `use` tree: its path, and what it is called here.
    fn flatten(tree: &UseTree, above: &[String], found: &mut Vec<(Vec<String>, String, Span)>) {
        let joined = |name: String| above.iter().cloned().chain([name]).collect::<Vec<_>>();
        match tree {
            UseTree::Path(path) => Self::flatten(&path.tree, &joined(path.ident.to_string()), found),
            UseTree::Group(group) => group.items.iter().for_each(|tree| Self::flatten(tree, above, found)),
            UseTree::Glob(glob) => found.push((above.to_vec(), String::new(), glob.span())),
            UseTree::Name(name) if name.ident == "self" => {
                found.push((above.to_vec(), above.last().cloned().unwrap_or_default(), name.span()));
            }
            UseTree::Name(name) => {
                found.push((joined(name.ident.to_string()), name.ident.to_string(), name.span()));
            }
            UseTree::Rename(rename) if rename.ident == "self" => {
                found.push((above.to_vec(), rename.rename.to_string(), rename.span()));
            }
            UseTree::Rename(rename) => {
                found.push((joined(rename.ident.to_string()), rename.rename.to_string(), rename.span()));
            }
        }
    }

    /// Paths in tokens that nobody has parsed, those of a macro's arguments.
    fn scan(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        let mut span = Span::call_site();
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.note_scanned(&path, span);
                        path.clear();
                    }
                    if path.is_empty() {
                        span = ident.span();
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    self.note_scanned(&path, span);
                    path.clear();
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.scan(group.stream());
                    }
                }
            }
        }
        self.note_scanned(&path, span);
    }

    fn note_scanned(&mut self, path: &[String], span: Span) {
        if path.len() > 1 {
            self.note(path, span);
        }
    }

    /// Notes what the syntax in `visit` shows to everybody.
    fn show(&mut self, visit: impl FnOnce(&mut Shown)) {
        let mut shown = Shown(Vec::new());
        visit(&mut shown);
        for (path, span) in shown.0 {
            if let Some(path) = self.full(&path)
                && !path.starts_with("crate::")
            {
                self.file.public.insert(Named { path, line: span.start().line });
            }
        }
    }
}

impl<'a> Visit<'a> for Reader<'_> {
    fn visit_file(&mut self, file: &'a syn::File) {
        // Names first: an item may be used above the line that imports it.
        for item in &file.items {
            if let Item::Use(item) = item {
                self.remember(item);
            }
        }
        visit::visit_file(self, file);
    }

    fn visit_item_mod(&mut self, item: &'a ItemMod) {
        let Some((_, items)) = &item.content else { return };
        self.module.push(item.ident.to_string());
        let aliases = self.aliases.clone();
        for item in items {
            if let Item::Use(item) = item {
                self.remember(item);
            }
        }
        visit::visit_item_mod(self, item);
        self.aliases = aliases;
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'a ItemUse) {
        let mut found = Vec::new();
        Self::flatten(&item.tree, &[], &mut found);
        for (path, name, span) in found {
            // What a module shows of others is not used by it. A glob would hide who uses what.
            if matches!(item.vis, Visibility::Inherited) {
                self.note(&path, span);
            } else if let Some(full) = self.full(&path) {
                assert!(!name.is_empty(), "{}: `pub use` of all names", self.module.join("::"));
                if matches!(item.vis, Visibility::Public(_)) && !full.starts_with("crate::") {
                    self.file.public.insert(Named { path: full.clone(), line: span.start().line });
                }
                if !full.starts_with("crate::") {
                    self.note(&path, span);
                }
                self.file.exports.insert(name, full);
            }
        }
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let names: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if names.len() > 1 {
            self.note(&names, path.span());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'a Macro) {
        self.scan(item.tokens.clone());
        visit::visit_macro(self, item);
    }

    fn visit_item(&mut self, item: &'a Item) {
        match item {
            Item::Fn(it) if is_public(&it.vis) => self.show(|shown| shown.visit_signature(&it.sig)),
            Item::Type(it) if is_public(&it.vis) => self.show(|shown| shown.visit_item_type(it)),
            Item::Trait(it) if is_public(&it.vis) => self.show(|shown| shown.visit_item_trait(it)),
            Item::Enum(it) if is_public(&it.vis) => self.show(|shown| shown.visit_item_enum(it)),
            Item::Const(it) if is_public(&it.vis) => self.show(|shown| shown.visit_type(&it.ty)),
            Item::Struct(it) if is_public(&it.vis) => self.show(|shown| {
                let fields = match &it.fields {
                    Fields::Named(fields) => fields.named.iter().collect::<Vec<_>>(),
                    Fields::Unnamed(fields) => fields.unnamed.iter().collect(),
                    Fields::Unit => Vec::new(),
                };
                fields
                    .into_iter()
                    .filter(|field| is_public(&field.vis))
                    .for_each(|field| shown.visit_field(field));
            }),
            Item::Impl(it) => {
                for item in &it.items {
                    if let syn::ImplItem::Fn(function) = item
                        && is_public(&function.vis)
                    {
                        self.show(|shown| shown.visit_signature(&function.sig));
                    }
                }
            }
            _ => {}
        }
        visit::visit_item(self, item);
    }
}

impl Reader<'_> {
    fn remember(&mut self, item: &ItemUse) {
        let mut found = Vec::new();
        Self::flatten(&item.tree, &[], &mut found);
        for (path, name, _) in found {
            if !name.is_empty()
                && let Some(full) = self.full(&path)
            {
                self.aliases.insert(name, full);
            }
        }
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// The paths in what everybody sees, without bodies of functions.
struct Shown(Vec<(Vec<String>, Span)>);

impl<'a> Visit<'a> for Shown {
    fn visit_path(&mut self, path: &'a syn::Path) {
        self.0.push((path.segments.iter().map(|segment| segment.ident.to_string()).collect(), path.span()));
        visit::visit_path(self, path);
    }

    fn visit_block(&mut self, _: &'a syn::Block) {}

    fn visit_attribute(&mut self, _: &'a syn::Attribute) {}

    fn visit_signature(&mut self, signature: &'a Signature) {
        visit::visit_signature(self, signature);
    }
}
