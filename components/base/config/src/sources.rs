//! From locations on the command line to one expanded tree: read, merge left to right, lay `--set` over it, expand `${…}`.

use crate::{
    codes,
    error::{ConfigError, Errors},
    expand::{self, Expander},
    merge::{merge, merge_appending},
    node::{Key, Node, Value},
    origin::{Origin, Source},
    yaml::{self, Limits},
};
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::Arc,
};

/// What loading asks of the outside: variables and files. Closures `Fn(&str) -> Option<String>` give variables and read
/// the real files.
pub trait Env {
    /// The value of an environment variable; `None` when it is not set (set to nothing is `Some("")`).
    fn var(&self, name: &str) -> Option<String>;

    /// The content of a file. Implementations may stop reading once they have more than `bytes_max`.
    ///
    /// # Errors
    /// When the file cannot be read.
    fn read(&self, path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
        File::open(path)?.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl<F: Fn(&str) -> Option<String>> Env for F {
    fn var(&self, name: &str) -> Option<String> {
        self(name)
    }
}

/// Variables and files of this process. Bytes of a variable that are not UTF-8 become replacement characters.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnv;

impl Env for ProcessEnv {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    }
}

/// How to load.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions {
    /// Append lists of components instead of replacing them (feature gate `confmap.enableMergeAppendOption`).
    pub merge_append: bool,
    /// Refuse `${env:X}` where X is not set and has no default (`--strict`).
    pub strict_env: bool,
    /// Bounds of every source and of the expanded tree.
    pub limits: Limits,
}

/// A loaded configuration.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The merged, expanded tree; a map.
    pub root: Node,
    /// Warnings found on the way.
    pub warnings: Errors,
    /// Every text that was read, `${…}` included.
    pub sources: Vec<Arc<Source>>,
}

/// Loads `uris` (each `file:path`, `path`, `env:NAME`, `yaml:text`), merges them left to right, lays `sets`
/// (each `a.b.c=value`) over the result, and expands `${…}`.
///
/// # Errors
/// Everything that is wrong with any of the sources, not only the first.
pub fn load(uris: &[String], sets: &[String], env: &dyn Env, options: &LoadOptions) -> Result<Loaded, Errors> {
    let mut errors = Errors::new();
    let mut sources = Vec::new();
    let mut root = Node::new(Value::Map(Vec::new()), Origin::default());
    let overlay = if options.merge_append { merge_appending } else { merge };
    for uri in uris {
        match read_location(uri, env, &options.limits) {
            Ok(source) => {
                sources.push(Arc::clone(&source));
                if let Some(tree) = parse_source(&source, uri, &options.limits, &mut errors) {
                    root = overlay(root, tree);
                }
            }
            Err(error) => errors.push(*error),
        }
    }
    for set in sets {
        if let Some(tree) = parse_set(set, &options.limits, &mut sources, &mut errors) {
            root = overlay(root, tree);
        }
    }
    if errors.has_errors() {
        return Err(errors);
    }
    let mut expander = Expander::new(env, &options.limits, &mut errors);
    expander.expand(&mut root, 1);
    let unset = std::mem::take(&mut expander.unset);
    sources.append(&mut expander.sources);
    report_unset(unset, options.strict_env, &mut errors);
    if errors.has_errors() { Err(errors) } else { Ok(Loaded { root, warnings: errors, sources }) }
}

fn read_location(uri: &str, env: &dyn Env, limits: &Limits) -> Result<Arc<Source>, Box<ConfigError>> {
    let (scheme, rest) = split_scheme(uri);
    match scheme {
        "file" => Ok(Source::new(rest, expand::read_text(env, rest, limits)?)),
        "yaml" => Ok(Source::new("yaml:", rest)),
        "env" => env.var(rest).map(|text| Source::new(uri, text)).ok_or_else(|| {
            let message = format!("the environment variable `{rest}` of `--config={uri}` is not set");
            Box::new(ConfigError::new(codes::UNREADABLE, message))
        }),
        _ => Err(Box::new(expand::unknown_scheme(scheme, rest, uri))),
    }
}

/// Scheme and rest; a location without scheme is a file. A scheme has at least two characters, so that `C:\x` is a file.
fn split_scheme(uri: &str) -> (&str, &str) {
    match uri.split_once(':') {
        Some((scheme, rest))
            if scheme.len() > 1
                && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'.' | b'-')) =>
        {
            (scheme, rest)
        }
        _ => ("file", uri),
    }
}

fn parse_source(source: &Arc<Source>, uri: &str, limits: &Limits, errors: &mut Errors) -> Option<Node> {
    let tree = yaml::parse(source, limits, errors)?;
    match tree.value {
        Value::Map(_) => Some(yaml::split_top_keys(tree, errors)),
        Value::Null => None,
        _ => {
            let message = format!("`{uri}` is not a map at its top but {}", tree.kind());
            errors.push(ConfigError::new(codes::NOT_A_MAP, message).at(&tree.origin));
            None
        }
    }
}

fn parse_set(set: &str, limits: &Limits, sources: &mut Vec<Arc<Source>>, errors: &mut Errors) -> Option<Node> {
    let source = Source::new("--set", set);
    sources.push(Arc::clone(&source));
    let Some((path, text)) = set.split_once('=') else {
        let origin = Origin::new(&source, 1, 1, count(set));
        let error = ConfigError::new(codes::BAD_SET, format!("missing equal sign in `--set={set}`"));
        errors.push(error.at(&origin).with_fix(format!("write `--set={set}=value`")));
        return None;
    };
    if path.split('.').any(str::is_empty) {
        let origin = Origin::new(&source, 1, 1, count(path));
        let error = ConfigError::new(codes::BAD_SET, format!("`{path}` in `--set` is not a key path"));
        errors.push(error.at(&origin).with_expected("keys joined by single dots"));
        return None;
    }
    let mut node = yaml::parse_part(&source, text, 1, count(path).saturating_add(2), limits, errors)?;
    let origin = Origin::new(&source, 1, 1, count(path));
    if node.is_null() {
        node.origin = origin.clone();
    }
    for key in path.rsplit('.').flat_map(|part| part.rsplit("::")) {
        let key = Key { text: Arc::from(key), origin: origin.clone() };
        node = Node::new(Value::Map(vec![(key, node)]), origin.clone());
    }
    Some(node)
}

fn count(text: &str) -> u32 {
    u32::try_from(text.chars().count()).unwrap_or(u32::MAX)
}

/// One message for all unset variables.
fn report_unset(unset: std::collections::BTreeMap<String, Vec<Origin>>, strict: bool, errors: &mut Errors) {
    let names: Vec<&str> = unset.keys().map(String::as_str).collect();
    let places: Vec<(&String, &Origin)> =
        unset.iter().flat_map(|(name, origins)| origins.iter().map(move |origin| (name, origin))).collect();
    let Some(((_, first), rest)) = places.split_first() else { return };
    let plural = if names.len() == 1 { "variable without default is" } else { "variables without default are" };
    let message = format!("environment {plural} not set: {}", names.join(", "));
    let mut error = if strict {
        ConfigError::new(codes::UNSET_VARIABLE, message)
    } else {
        ConfigError::warning(codes::UNSET_VARIABLES, message)
            .with_note("text settings become empty, others keep their default")
    };
    error = error.at(first).with_fix(format!("set it, or write a default: ${{env:{}:-value}}", names[0]));
    for (name, origin) in rest {
        error = error.with_related(origin, format!("`{name}` is wanted here"));
    }
    errors.push(error);
}
