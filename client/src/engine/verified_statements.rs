//! Statements that were verified while one input is handled. The engine goes through an input anew whenever a record was
//! missing, and a statement has a signature for each device; what an encoded statement says depends on nothing else, so
//! remembering it changes no decision.

use std::cell::RefCell;
use std::collections::HashMap;

use medipeps_core::identity::{Statement, StatementError};

/// By their encoded form. Refused ones are not remembered.
#[derive(Debug, Default)]
pub struct VerifiedStatements(RefCell<HashMap<Vec<u8>, Statement>>);

impl VerifiedStatements {
    /// [`Statement::decode`], once for each statement.
    ///
    /// # Errors
    /// [`StatementError`]
    pub fn decode(&self, encoded: &[u8]) -> Result<Statement, StatementError> {
        if let Some(statement) = self.0.borrow().get(encoded) {
            return Ok(statement.clone());
        }
        let statement = Statement::decode(encoded)?;
        self.0.borrow_mut().insert(encoded.to_vec(), statement.clone());
        Ok(statement)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
