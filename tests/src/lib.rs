//! Nothing to use: this package holds the tests that cross crates, under `tests/`.
