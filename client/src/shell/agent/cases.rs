//! Cases: read out of the store, said things in, exported and signed.

use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::identity::Statement;
use medipeps_core::kind::{Author, Body, MessageId, SignedTranscript, Transcript, TranscriptError};
use thiserror::Error;

use super::{Agent, AgentError, now};
use crate::engine::{CaseDetail, CaseSummary, EngineError, GroupId, GroupInput, Input, SendToCase};

/// Why a case is not exported.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The store or the engine refuses.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// What would be refused by those who get it.
    #[error(transparent)]
    Transcript(#[from] TranscriptError),
}

impl Agent {
    /// All cases of a group, the last opened first.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn cases(&mut self, group: &GroupId) -> Result<Vec<CaseSummary>, AgentError> {
        Ok(self.store.group_cases(group, now(), &mut self.rng)?)
    }

    /// One case with what was said in it.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn case(&mut self, group: &GroupId, case: MessageId) -> Result<CaseDetail, AgentError> {
        Ok(self.store.group_case(group, case, now(), &mut self.rng)?)
    }

    /// The input that says something about a case or in one. What would not count as far as this device knows is
    /// refused here; what has changed meanwhile decides at the readers.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn case_input(&mut self, command: SendToCase) -> Result<Input, AgentError> {
        if let Some(case) = command.case {
            let (author, at) = (self.own_author()?, now().0);
            let case = self.case(&command.message.group, case)?;
            let checked = match &command.message.body {
                Body::Case(act) => case.check_act(&author, act, at),
                _ => case.check_admits(&author, at),
            };
            checked.map_err(EngineError::from)?;
        }
        Ok(Input::Group(GroupInput::Case(Box::new(command))))
    }

    /// A case as this device shows it, signed by it.
    ///
    /// # Errors
    /// [`ExportError`]
    pub fn export_case(&mut self, group: &GroupId, case: MessageId) -> Result<SignedTranscript, ExportError> {
        let detail = self.case(group, case)?;
        let account = self.store.account_record(now(), &mut self.rng).map_err(AgentError::from)?;
        let account = account.ok_or_else(|| AgentError::from(EngineError::NoAccount))?;
        let statement =
            Statement::decode(&account.statement).map_err(|error| AgentError::from(EngineError::from(error)))?;
        let key = SigningKey::from_secret(&account.device_signing_key);
        let transcript = Transcript::of(&detail.case, &detail.chat, Some(*group), now().0);
        Ok(transcript.sign(&key, &statement, account.device_id)?)
    }

    /// This account as others see it.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn own_author(&mut self) -> Result<Author, AgentError> {
        let account = self.store.account_record(now(), &mut self.rng)?.ok_or(EngineError::NoAccount)?;
        let statement = Statement::decode(&account.statement).map_err(EngineError::from)?;
        Ok(Author { address: account.address, account_key: statement.account_key() })
    }
}
