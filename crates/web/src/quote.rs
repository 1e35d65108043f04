//! Quotes of messages that others answer, in conversations and rooms.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
};

use crate::view::View;

/// The length of a quoted text, in characters.
const LENGTH: usize = 120;

/// A message that another one answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quote {
    pub(crate) id: i64,
    /// Where it is: on the same page, or on its own. `None` if there is nothing more to see.
    pub(crate) url: Option<String>,
    pub(crate) name: String,
    pub(crate) text: String,
}

/// The first words of a message; the name of its file if it has no words.
pub(crate) fn short(content: &str, file: Option<&str>) -> String {
    let text = if content.is_empty() { file.unwrap_or_default() } else { content };
    text.chars().take(LENGTH).collect()
}

/// The ids of the messages that some of these answer and that are not among these, each once. A message is given as
/// its id and the id of the one that it answers.
pub(crate) fn answered_elsewhere<Id: Copy + Eq + Hash>(
    messages: impl Iterator<Item = (Id, Option<Id>)> + Clone,
) -> Vec<Id> {
    let mut known: HashSet<Id> = messages.clone().map(|(id, _)| id).collect();
    messages.filter_map(|(_, answered)| answered).filter(|id| known.insert(*id)).collect()
}

/// The messages that can be quoted, by their ids.
#[derive(Default)]
pub(crate) struct Quotes(HashMap<i64, Quote>);

impl Quotes {
    /// Adds a message. Its text is `None` if it was deleted.
    pub(crate) fn add(&mut self, view: &View, id: i64, url: String, (name, text): (String, Option<String>)) {
        let quote = match text {
            Some(text) => Quote { id, url: Some(url), name, text },
            None => Quote { id, url: None, name, text: view.t("message-deleted") },
        };
        self.0.insert(id, quote);
    }

    /// The quote of a message. One that the reader cannot see leads nowhere.
    pub(crate) fn of(&self, view: &View, id: i64) -> Quote {
        let hidden = || Quote { id, url: None, name: String::new(), text: view.t("earlier-message") };
        self.0.get(&id).cloned().unwrap_or_else(hidden)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_is_answered_twice_is_read_once() {
        let messages = [(4, Some(1)), (5, Some(4)), (6, Some(1)), (7, None), (8, Some(2))];
        assert_eq!(answered_elsewhere(messages.into_iter()), [1, 2]);
    }

    #[test]
    fn a_file_without_words_is_quoted_by_its_name() {
        assert_eq!(
            (short("", Some("list.txt")), short("words", Some("list.txt"))),
            ("list.txt".into(), "words".into())
        );
        assert_eq!(short(&"x".repeat(500), None).len(), LENGTH);
    }
}
