//! Names of streams.

use std::{fmt, str::FromStr};

/// The greatest length of a name, in bytes.
const MAX_LENGTH: usize = 100;

/// The name of a stream: its kind and the ids of what it is about, `user/5` or `board/3/12`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName(String);

/// A text that is not the name of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of a stream is a kind and ids, like user/5")]
pub struct InvalidName;

impl StreamName {
    /// The stream of this kind about an object. `kind` consists of lower-case letters and underscores.
    pub fn new(kind: &'static str, id: impl Into<i64>) -> Self {
        Self(format!("{kind}/{}", id.into()))
    }

    /// The kind: `user`.
    pub fn kind(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// The ids.
    pub fn ids(&self) -> impl Iterator<Item = i64> {
        self.0.split('/').skip(1).filter_map(|id| id.parse().ok())
    }

    /// The id, if there is only one.
    pub fn id(&self) -> Option<i64> {
        let mut ids = self.ids();
        ids.next().filter(|_| ids.next().is_none())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StreamName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let (kind, ids) = text.split_once('/').ok_or(InvalidName)?;
        let is_kind = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        // The one spelling of each number, so that a stream has one name.
        let is_id = |id: &str| id.parse::<i64>().is_ok_and(|number| number > 0 && number.to_string() == id);
        let is_valid = text.len() <= MAX_LENGTH && is_kind && ids.split('/').all(is_id);
        if is_valid { Ok(Self(text.to_owned())) } else { Err(InvalidName) }
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_kind_and_ids() {
        let board: StreamName = "board/3/12".parse().unwrap();
        assert_eq!((board.kind(), board.ids().collect::<Vec<_>>(), board.id()), ("board", vec![3, 12], None));
        assert_eq!(StreamName::new("user", 5_i64), "user/5".parse().unwrap());
        for bad in ["", "user", "user/", "/5", "user/05", "user/-5", "user/0", "User/5", "user/5/", "user/5\"", "a b/5"]
        {
            assert_eq!(bad.parse::<StreamName>(), Err(InvalidName), "{bad}");
        }
        assert!(format!("a/{}", "1/".repeat(60)).parse::<StreamName>().is_err());
    }
}
