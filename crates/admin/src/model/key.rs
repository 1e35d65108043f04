use std::fmt;

/// Values of columns that identify a row, as one text: `17`, `3,users`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub(crate) Vec<String>);

impl Key {
    /// A key of these values.
    pub fn new(values: impl IntoIterator<Item = String>) -> Self {
        Self(values.into_iter().collect())
    }

    /// The key that is this id alone.
    pub fn of_id(id: i64) -> Self {
        Self::new([id.to_string()])
    }

    /// Reads the text of a key.
    pub fn parse(text: &str) -> Self {
        Self(text.split(',').map(|value| value.replace("~c", ",").replace("~t", "~")).collect())
    }

    /// The values, in the order of the columns.
    pub fn values(&self) -> &[String] {
        &self.0
    }

    /// The id, if it is a single integer.
    pub fn id(&self) -> Option<i64> {
        let [value] = self.0.as_slice() else { return None };
        value.parse().ok()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, value) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { "," };
            write!(f, "{separator}{}", value.replace('~', "~t").replace(',', "~c"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_written() {
        for values in [vec!["17"], vec!["3", "a,b"], vec!["~c", "", "~t~"], vec!["x/y?", "ä"]] {
            let key = Key::new(values.into_iter().map(str::to_owned));
            assert_eq!(Key::parse(&key.to_string()), key);
        }
    }

    #[test]
    fn only_a_single_integer_is_an_id() {
        assert_eq!(Key::parse("17").id(), Some(17));
        assert_eq!(Key::parse("17,2").id(), None);
        assert_eq!(Key::parse("x").id(), None);
    }
}
