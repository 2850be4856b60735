//! Counting tests from what `cargo test` prints.

use std::ops::AddAssign;

/// How many tests ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) skipped: u64,
}

impl Counts {
    /// One test that passed.
    pub(super) const PASSED: Self = Self { passed: 1, failed: 0, skipped: 0 };
    /// One test that failed.
    pub(super) const FAILED: Self = Self { passed: 0, failed: 1, skipped: 0 };
    /// One test that did not run.
    pub(super) const SKIPPED: Self = Self { passed: 0, failed: 0, skipped: 1 };

    /// One test, by how it ended.
    pub(super) const fn one(passed: bool) -> Self {
        if passed { Self::PASSED } else { Self::FAILED }
    }

    /// Adds what a line of libtest's says: `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; ...`.
    pub(super) fn see(&mut self, line: &str) {
        let Some((_, rest)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")) else { return };
        for part in rest.split(';') {
            let Some((number, what)) = part.trim().split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.skipped += number,
                _ => {}
            }
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_added_and_others_ignored() {
        let mut counts = Counts::default();
        for line in [
            "running 5 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.00s",
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s",
            "test a::b ... ok",
            "test result: ok",
        ] {
            counts.see(line);
        }
        assert_eq!(counts, Counts { passed: 4, failed: 2, skipped: 1 });
    }
}
