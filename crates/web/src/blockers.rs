//! What is in the way of the removal of an account.

use guildhall_kernel::Error;

use crate::view::View;

/// What has to be given to somebody else first.
pub(crate) struct Blocker {
    pub(crate) name: String,
    pub(crate) count: i64,
    pub(crate) examples: Vec<String>,
}

/// The blockers in an error.
pub(crate) fn blockers(error: &Error, view: &View) -> Vec<Blocker> {
    let list = error.extension("blockers").and_then(|list| list.as_array()).cloned().unwrap_or_default();
    let blocker = |value: &serde_json::Value| {
        let model = value.get("model").and_then(|model| model.as_str()).unwrap_or_default();
        let examples = value.get("examples").and_then(|list| list.as_array()).cloned().unwrap_or_default();
        Blocker {
            name: view.find(&format!("blocker-{model}")).unwrap_or_else(|| model.to_owned()),
            count: value.get("count").and_then(serde_json::Value::as_i64).unwrap_or_default(),
            examples: examples.iter().filter_map(|text| Some(text.as_str()?.to_owned())).collect(),
        }
    };
    list.iter().map(blocker).collect()
}
