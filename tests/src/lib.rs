//! The tests are in `tests/it` and `tests/soak`.
