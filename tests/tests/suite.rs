//! All tests that cross crates, as one program.

#[cfg(test)]
mod architecture;
