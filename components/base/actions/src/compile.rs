//! Configuration to compiled actions, with the Collector's sentences about what is wrong.

use matching::{Constant, Pattern, Problem, Report};
use pdata::RequestPart;
use pdata::edit::Write;

use crate::config::ActionConfig;
use crate::convert::Target;
use crate::plain::Plain;
use crate::source::{Fixed, Request};

/// A compiled list of actions.
#[derive(Clone, Debug, Default)]
pub struct Actions {
    pub(crate) list: Vec<Action>,
    /// What is read from the request; actions refer to them by place.
    pub(crate) requests: Vec<Request>,
    /// How many actions extract.
    pub(crate) extracts: usize,
    /// How many actions choose keys by a pattern.
    pub(crate) keys_by_pattern: usize,
    /// The same list, where one pass over an item's bytes does it.
    pub(crate) plain: Option<Plain>,
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    Write {
        key: String,
        how: Write,
        from: From,
        default: Option<Fixed>,
    },
    Delete {
        key: Option<String>,
        pattern: Option<KeyPattern>,
    },
    Hash {
        key: Option<String>,
        pattern: Option<KeyPattern>,
    },
    /// The names of the pattern's groups are the keys to write, and which of the extracts it is.
    Extract {
        key: String,
        pattern: Pattern,
        keys: Vec<String>,
        number: usize,
    },
    Convert {
        key: String,
        to: Target,
    },
}

/// A pattern that chooses keys, and which of them it is.
#[derive(Clone, Debug)]
pub(crate) struct KeyPattern {
    pub(crate) pattern: Pattern,
    pub(crate) number: usize,
}

/// Where a value comes from.
#[derive(Clone, Debug)]
pub(crate) enum From {
    Nowhere,
    Fixed(Fixed),
    Attribute(String),
    /// Place in [`Actions::requests`].
    Request(usize),
}

/// An action being compiled.
struct Draft<'c> {
    config: &'c ActionConfig,
    /// In lower case.
    name: String,
    index: usize,
}

/// What actions are called.
const NAMES: [&str; 7] = ["insert", "update", "upsert", "delete", "hash", "extract", "convert"];

/// A setting of the action, and what is wrong with it.
type Wrong = (&'static str, String);

impl Actions {
    /// Compiles the list in the setting `list`. What is wrong is reported, and left out.
    pub fn compile(configs: &[ActionConfig], list: &str, report: &mut Report<'_>) -> Self {
        let mut actions = Self::default();
        for (index, config) in configs.iter().enumerate() {
            let draft = Draft { config, name: config.action.to_lowercase(), index };
            match draft.compile(&mut actions) {
                Ok(action) => actions.list.push(action),
                Err((setting, message)) => {
                    let separator = if setting.is_empty() { "" } else { "::" };
                    report(Problem::new(format!("{list}::{index}{separator}{setting}"), message));
                }
            }
        }
        actions.plain = Plain::of(&actions.list);
        actions
    }

    /// As [`Actions::compile`], for configurations that were checked.
    ///
    /// # Errors
    /// The first problem.
    pub fn new(configs: &[ActionConfig], list: &str) -> Result<Self, Problem> {
        let mut first = None;
        let actions = Self::compile(configs, list, &mut |problem| _ = first.get_or_insert(problem));
        first.map_or(Ok(actions), Err)
    }

    /// What configurations read of requests, whatever else is wrong with them.
    pub fn request_reads(configs: &[ActionConfig]) -> Vec<RequestPart> {
        let actions = Self::compile(configs, "", &mut |_problem| {});
        let reads = actions.requests.iter().filter_map(|request| match request {
            Request::Metadata(name) => Some(RequestPart::Metadata(name.clone())),
            Request::ClientAddress => Some(RequestPart::Address),
            Request::Auth(_) => None,
        });
        reads.collect()
    }

    /// Whether it may add an attribute to a message that has none.
    #[must_use]
    pub fn can_add(&self) -> bool {
        self.list.iter().any(|action| matches!(action, Action::Write { how: Write::Insert | Write::Upsert, .. }))
    }
}

impl Draft<'_> {
    fn compile(&self, actions: &mut Actions) -> Result<Action, Wrong> {
        let (config, index) = (self.config, self.index);
        match self.name.as_str() {
            "delete" | "hash" if config.key.is_empty() && config.pattern.is_empty() => {
                let message = format!(
                    "error creating AttrProc due to missing required field (at least one of \"key\" and \"pattern\" have \
                     to be used) at the {index}-th actions"
                );
                return Err(("", message));
            }
            "delete" | "hash" => {}
            _ if config.key.is_empty() => {
                let message =
                    format!("error creating AttrProc due to missing required field \"key\" at the {index}-th actions");
                return Err(("", message));
            }
            _ => {}
        }
        match self.name.as_str() {
            "insert" => self.write(Write::Insert, actions),
            "update" => self.write(Write::Update, actions),
            "upsert" => self.write(Write::Upsert, actions),
            "delete" => {
                let (key, pattern) = self.keys(actions)?;
                Ok(Action::Delete { key, pattern })
            }
            "hash" => {
                let (key, pattern) = self.keys(actions)?;
                Ok(Action::Hash { key, pattern })
            }
            "extract" => self.extract(actions),
            "convert" => self.convert(),
            name => {
                let meant = config::meant(name, NAMES);
                let message = format!(
                    "error creating AttrProc due to unsupported action \"{name}\" at the {index}-th actions{meant}"
                );
                Err(("action", message))
            }
        }
    }

    fn write(&self, how: Write, actions: &mut Actions) -> Result<Action, Wrong> {
        let (config, index) = (self.config, self.index);
        let value = Constant::of(&config.value);
        let default = Constant::of(&config.default_value);
        let given = [value.is_some(), !config.from_attribute.is_empty(), !config.from_context.is_empty()];
        match given.iter().filter(|given| **given).count() {
            0 if default.is_none() => {
                let message = format!(
                    "error creating AttrProc. Either field \"value\", \"from_attribute\" or \"from_context\" setting must \
                     be specified for {index}-th action"
                );
                return Err(("", message));
            }
            0 | 1 => {}
            _ => {
                let message = format!(
                    "error creating AttrProc due to multiple value sources being set at the {index}-th actions"
                );
                return Err(("", message));
            }
        }
        self.refuse("pattern", !config.pattern.is_empty())?;
        self.refuse("converted_type", !config.converted_type.is_empty())?;
        let from = match value {
            Some(value) => From::Fixed(self.fixed("value", value)?),
            None if !config.from_attribute.is_empty() => From::Attribute(config.from_attribute.clone()),
            None if !config.from_context.is_empty() => {
                actions.requests.push(Request::parse(&config.from_context));
                From::Request(actions.requests.len() - 1)
            }
            None => From::Nowhere,
        };
        let default = default.map(|value| self.fixed("default_value", value)).transpose()?;
        Ok(Action::Write { key: config.key.clone(), how, from, default })
    }

    fn fixed(&self, setting: &'static str, value: Constant) -> Result<Fixed, Wrong> {
        Fixed::new(value).map_err(|error| {
            let message = format!("error creating AttrProc. {error}, at the {}-th actions", self.index);
            (setting, message)
        })
    }

    /// Key and pattern of `delete` and `hash`.
    fn keys(&self, actions: &mut Actions) -> Result<(Option<String>, Option<KeyPattern>), Wrong> {
        let config = self.config;
        for (setting, given) in
            [("value", !config.value.is_null()), ("from_attribute", !config.from_attribute.is_empty())]
        {
            if given {
                let message = format!(
                    "error creating AttrProc. Action \"{}\" does not use \"value\" or \"from_attribute\" field. These must \
                     not be specified for {}-th action",
                    self.name, self.index
                );
                return Err((setting, message));
            }
        }
        self.refuse("from_context", !config.from_context.is_empty())?;
        self.refuse("default_value", !config.default_value.is_null())?;
        let pattern = (!config.pattern.is_empty()).then(|| self.pattern()).transpose()?;
        self.refuse("converted_type", !config.converted_type.is_empty())?;
        let pattern = pattern.map(|pattern| {
            actions.keys_by_pattern += 1;
            KeyPattern { pattern, number: actions.keys_by_pattern - 1 }
        });
        Ok(((!config.key.is_empty()).then(|| config.key.clone()), pattern))
    }

    fn pattern(&self) -> Result<Pattern, Wrong> {
        let pattern = &self.config.pattern;
        Pattern::new(pattern).map_err(|error| {
            let message = format!(
                "error creating AttrProc. Field \"pattern\" has invalid pattern: \"{pattern}\" to be set at the {}-th \
                 actions: {}",
                self.index, error.reason
            );
            ("pattern", message)
        })
    }

    fn extract(&self, actions: &mut Actions) -> Result<Action, Wrong> {
        let (config, index) = (self.config, self.index);
        self.refuse_sources("a value source field")?;
        if config.pattern.is_empty() {
            return Err(("", self.lacks("pattern")));
        }
        self.refuse("converted_type", !config.converted_type.is_empty())?;
        let pattern = self.pattern()?;
        let names: Vec<Option<&str>> = pattern.regex().capture_names().skip(1).collect();
        if names.is_empty() {
            let message = format!(
                "error creating AttrProc. Field \"pattern\" contains no named matcher groups at the {index}-th actions"
            );
            return Err(("pattern", message));
        }
        let Some(keys) = names.into_iter().map(|name| name.map(str::to_owned)).collect() else {
            let message = format!(
                "error creating AttrProc. Field \"pattern\" contains at least one unnamed matcher group at the {index}-th \
                 actions"
            );
            return Err(("pattern", message));
        };
        actions.extracts += 1;
        Ok(Action::Extract { key: config.key.clone(), pattern, keys, number: actions.extracts - 1 })
    }

    fn convert(&self) -> Result<Action, Wrong> {
        let (config, index) = (self.config, self.index);
        self.refuse_sources("value sources or \"pattern\" field")?;
        if !config.pattern.is_empty() {
            return Err(("pattern", self.does_not_use("value sources or \"pattern\" field")));
        }
        let to = &config.converted_type;
        if to.is_empty() {
            return Err(("", self.lacks("converted_type")));
        }
        let to = Target::parse(to).ok_or_else(|| {
            let message = format!(
                "error creating AttrProc due to invalid value \"{to}\" in field \"converted_type\" for action \"convert\" \
                 at the {index}-th action"
            );
            ("converted_type", message)
        })?;
        Ok(Action::Convert { key: config.key.clone(), to })
    }

    fn refuse_sources(&self, what: &str) -> Result<(), Wrong> {
        let config = self.config;
        for (setting, given) in [
            ("value", !config.value.is_null()),
            ("from_attribute", !config.from_attribute.is_empty()),
            ("from_context", !config.from_context.is_empty()),
        ] {
            if given {
                return Err((setting, self.does_not_use(what)));
            }
        }
        self.refuse("default_value", !config.default_value.is_null())
    }

    fn does_not_use(&self, what: &str) -> String {
        format!(
            "error creating AttrProc. Action \"{}\" does not use {what}. These must not be specified for {}-th action",
            self.name, self.index
        )
    }

    fn lacks(&self, setting: &str) -> String {
        format!(
            "error creating AttrProc due to missing required field \"{setting}\" for action \"{}\" at the {}-th action",
            self.name, self.index
        )
    }

    fn refuse(&self, setting: &'static str, given: bool) -> Result<(), Wrong> {
        if !given {
            return Ok(());
        }
        let message = format!(
            "error creating AttrProc. Action \"{}\" does not use the \"{setting}\" field. This must not be specified for \
             {}-th action",
            self.name, self.index
        );
        Err((setting, message))
    }
}
