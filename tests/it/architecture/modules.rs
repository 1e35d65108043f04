//! Modules: each file is one, and they depend on each other in one direction.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Code, code};

/// How many re-exports a path may go through.
const MAX_DEPTH: usize = 8;

/// An item that a module imports or re-exports.
struct Import {
    /// The path without `use`: `crate::model::Room`; ends with `*` if it is everything.
    path: String,
    /// The name in the module.
    name: String,
}

/// The modules of a crate by path: `sql/rooms`; empty for the root.
struct Modules {
    imports: BTreeMap<String, Vec<Import>>,
    /// What is not an import.
    code: BTreeMap<String, String>,
}

impl Modules {
    fn new(folder: &str, files: &[Code]) -> Self {
        let (mut imports, mut code) = (BTreeMap::new(), BTreeMap::new());
        for file in files {
            let path = file.path.strip_prefix(folder).and_then(|path| path.strip_prefix("/src/")).unwrap();
            let path = path.strip_suffix(".rs").unwrap();
            // A program beside a library is a crate of its own, which only uses the library.
            if path == "main" {
                continue;
            }
            let module = if path == "lib" { String::new() } else { path.to_owned() };
            let (its_imports, its_code) = without_imports(&file.text);
            imports.insert(module.clone(), its_imports);
            code.insert(module, its_code);
        }
        Self { imports, code }
    }

    /// The submodule with this name.
    fn child(&self, module: &str, name: &str) -> Option<String> {
        let child = if module.is_empty() { name.to_owned() } else { format!("{module}/{name}") };
        self.code.contains_key(&child).then_some(child)
    }

    /// The module that defines what a path in `module` leads to: the deepest one on the way, through re-exports. `None`
    /// for other crates.
    fn resolve(&self, module: &str, path: &str, depth: usize) -> Option<String> {
        let mut names = path.split("::").filter(|name| !name.is_empty()).peekable();
        let mut found = match *names.peek()? {
            "crate" => String::new(),
            "self" => module.to_owned(),
            "super" => parent(module).to_owned(),
            name if self.child(module, name).is_some() => module.to_owned(),
            name => {
                let import = self.import(module, name)?;
                let imported = (depth < MAX_DEPTH).then(|| self.resolve(module, &import.path, depth + 1)).flatten()?;
                // Unless it is a module, the path goes on to a method or a variant.
                if import.path.rsplit("::").next() != imported.rsplit('/').next() {
                    return Some(imported);
                }
                imported
            }
        };
        if names.peek().is_some_and(|name| self.child(module, name).is_none()) {
            names.next();
        }
        while names.next_if_eq(&"super").is_some() {
            let folder = parent(&found).to_owned();
            found = folder;
        }
        while let Some(child) = names.peek().and_then(|name| self.child(&found, name)) {
            found = child;
            names.next();
        }
        let defining = names.next().and_then(|name| self.defining(&found, name, depth));
        Some(defining.unwrap_or(found))
    }

    /// What a module imports under this name.
    fn import(&self, module: &str, name: &str) -> Option<&Import> {
        self.imports.get(module)?.iter().find(|import| import.name == name)
    }

    /// The module that defines what a module knows by this name.
    fn defining(&self, module: &str, name: &str, depth: usize) -> Option<String> {
        if self.defines(module, name) {
            return Some(module.to_owned());
        }
        if depth == MAX_DEPTH {
            return None;
        }
        if let Some(import) = self.import(module, name) {
            return self.resolve(module, &import.path, depth + 1);
        }
        let mut everything = self.imports.get(module)?.iter().filter_map(|import| import.path.strip_suffix("::*"));
        everything.find_map(|path| {
            let imported = self.resolve(module, path, depth + 1)?;
            self.defining(&imported, name, depth + 1)
        })
    }

    fn defines(&self, module: &str, name: &str) -> bool {
        let Some(code) = self.code.get(module) else { return false };
        let is_end = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        let keywords = ["struct", "enum", "trait", "fn", "type", "const", "static"];
        let is_item = keywords.iter().any(|keyword| {
            let item = format!("{keyword} {name}");
            code.match_indices(&item).any(|(at, _)| is_end(&code[at + item.len()..]))
        });
        // Ids are defined by a macro.
        is_item || code.contains(&format!("define_id!(\n    {name}\n"))
    }

    /// The modules that a module uses, except itself, the root and its own submodules: it is made of these.
    fn uses(&self, module: &str) -> BTreeSet<String> {
        let imported = self.imports[module].iter().map(|import| import.path.trim_end_matches("::*"));
        let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        let qualified = self.code[module].split(|c| !is_path(c)).filter(|path| path.contains("::"));
        let used = imported.chain(qualified).filter_map(|path| self.resolve(module, path, 0));
        let is_own =
            |used: &str| used.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        used.filter(|used| self.code.contains_key(used) && !used.is_empty() && !is_own(used)).collect()
    }

    /// The shortest circle through each module that is in one; each circle once.
    fn circles(&self) -> Vec<String> {
        let modules: Vec<&String> = self.code.keys().filter(|module| !module.is_empty()).collect();
        let uses: BTreeMap<&str, BTreeSet<String>> =
            modules.iter().map(|module| (module.as_str(), self.uses(module))).collect();
        let mut circles = BTreeMap::new();
        for module in modules {
            let mut paths = VecDeque::from([vec![module.as_str()]]);
            let mut reached = BTreeSet::new();
            while let Some(path) = paths.pop_front() {
                let next = &uses[path[path.len() - 1]];
                if next.contains(module) {
                    circles.entry(path.iter().copied().collect::<BTreeSet<_>>()).or_insert(path.join(" → "));
                    break;
                }
                for next in next.iter().filter(|next| reached.insert(next.as_str())) {
                    paths.push_back([&path[..], &[next]].concat());
                }
            }
        }
        circles.into_values().collect()
    }
}

fn parent(module: &str) -> &str {
    module.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// The imports of a source, and the rest of it.
fn without_imports(source: &str) -> (Vec<Import>, String) {
    let (mut imports, mut rest) = (Vec::new(), String::new());
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        let is_visibility = |text: &str| text.is_empty() || text == "pub " || text.starts_with("pub(");
        let statement = line.trim_start().split_once("use ").filter(|(before, _)| is_visibility(before));
        let Some((_, tree)) = statement else {
            rest.push_str(line);
            rest.push('\n');
            continue;
        };
        let mut tree = tree.to_owned();
        while !tree.ends_with(';') {
            tree.push_str(lines.next().unwrap_or(";").trim());
        }
        expand(tree.trim_end_matches(';'), "", &mut imports);
    }
    (imports, rest)
}

/// Adds the paths of a `use` tree.
fn expand(tree: &str, prefix: &str, imports: &mut Vec<Import>) {
    let tree = tree.trim();
    if let Some((head, list)) = tree.strip_suffix('}').and_then(|tree| tree.split_once('{')) {
        let mut depth = 0;
        let parts = list.split(|c: char| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            c == ',' && depth == 0
        });
        for part in parts.filter(|part| !part.trim().is_empty()) {
            expand(part, &format!("{prefix}{head}"), imports);
        }
        return;
    }
    let (path, alias) = tree.split_once(" as ").map_or((tree, None), |(path, alias)| (path, Some(alias)));
    let path = format!("{prefix}{path}");
    let path = path.strip_suffix("::self").unwrap_or(&path);
    let name = alias.or(path.rsplit("::").next()).unwrap_or_default();
    imports.push(Import { path: path.to_owned(), name: name.to_owned() });
}

#[test]
fn modules_do_not_depend_on_each_other_in_circles() {
    let circles = code().into_iter().filter_map(|(folder, files)| {
        let circles = Modules::new(&folder, &files).circles();
        (!circles.is_empty()).then_some((folder, circles))
    });
    let circles: BTreeMap<_, _> = circles.collect();
    assert!(circles.is_empty(), "move what they share to a module of its own: {circles:#?}");
}

#[test]
fn a_circle_of_modules_is_found() {
    let circles = |files: &[(&str, &str)]| {
        let file = |(path, text): &(&str, &str)| Code { path: format!("x/src/{path}.rs"), text: (*text).to_owned() };
        Modules::new("x", &files.iter().map(file).collect::<Vec<_>>()).circles()
    };
    let lib = ("lib", "mod a;\nmod b;\npub use a::{A, c::C};\npub use b::*;\n");
    let with = |a, b| [lib, ("a", a), ("b", b), ("a/c", "pub struct C;\n")];
    for (a, b) in [
        ("use crate::b::B;\n", "use crate::{\n    a::{A, X as Y},\n};\nstruct B;\n"),
        ("fn a() {\n    crate::b::f();\n}\n", "pub(crate) use super::a;\n"),
        ("use super::b;\nfn f() {}\n", "use crate::a::{self, c};\nfn b() {\n    a::f();\n}\n"),
        // Through the re-exports of the root.
        ("use crate::B;\nstruct A;\n", "use crate::A;\npub struct B;\n"),
    ] {
        assert_eq!(circles(&with(a, b)), ["a → b"], "{a}{b}");
    }
    for (a, b) in [
        ("mod c;\npub use c::C;\n", "use crate::a::C;\n"),
        ("pub struct A;\n", "use crate::{A, C, other::b};\n"),
        // A module may use its parts, and they may use it.
        ("use c::C;\nmod c;\n", "use crate::a::c::C;\n"),
    ] {
        assert_eq!(circles(&with(a, b)), [""; 0], "{a}{b}");
    }
    let across = [lib, ("a", ""), ("b", "use crate::a::c::C;\n"), ("a/c", "use super::super::b::B;\n")];
    assert_eq!(circles(&across), ["a/c → b"]);
}
