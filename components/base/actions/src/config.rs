//! What the user writes for an action.

use config::{Config, Node};

/// Something to be done to attributes.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct ActionConfig {
    /// The attribute to act upon. `delete` and `hash` may do without, if they have a `pattern`.
    pub key: String,
    /// `insert`, `update`, `upsert`, `delete`, `hash`, `extract` or `convert`, in any case.
    pub action: String,
    /// `insert`, `update`, `upsert`: the value to write, with the type it has in YAML.
    pub value: Node,
    /// `insert`, `update`, `upsert`: the attribute whose value is written.
    pub from_attribute: String,
    /// `insert`, `update`, `upsert`: what is written is read from the request: `metadata.` and a header's name, `auth.` and
    /// a name that the authenticator defines, `client.address`, or just a header's name.
    pub from_context: String,
    /// `insert`, `update`, `upsert`: the value to write if there is none.
    pub default_value: Node,
    /// `delete`, `hash`: the keys to act upon, too. `extract`: what is found in the value; groups name the attributes to write.
    pub pattern: String,
    /// `convert`: the new type: `int`, `double` or `string`.
    pub converted_type: String,
}
