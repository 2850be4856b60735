//! Errors as a page sees them: an `Error` with a `code` to switch on, and the `reason` where a word says more.

use js_sys::Reflect;
use medipeps_client::account_store::HandleError;
use medipeps_client::engine::EngineError;
use medipeps_client::shell::agent::{AgentError, NetworkError};
use medipeps_client::shell::transfer::SealedCopyError;
use medipeps_client::shell::transfer::download::DownloadError;
use medipeps_client::store::StoreError;
use wasm_bindgen::JsValue;

use crate::host::{is_full, text};

/// Why something was not done.
#[derive(Debug)]
pub(crate) struct PageError {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    reason: Option<String>,
}

impl PageError {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), reason: None }
    }

    /// With a word that programs may look at.
    pub(crate) fn because(self, reason: &str) -> Self {
        Self { reason: Some(reason.to_owned()), ..self }
    }

    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self::new("argument", message)
    }

    /// Another page has the account.
    pub(crate) fn busy() -> Self {
        Self::new("busy", "another page has this account")
    }

    pub(crate) fn closed() -> Self {
        Self::new("closed", "the account was closed")
    }

    pub(crate) fn refused(word: &str) -> Self {
        Self::new("refused", format!("the server refuses ({word})")).because(word)
    }

    pub(crate) fn not_found(message: &str) -> Self {
        Self::new("not_found", message)
    }

    pub(crate) fn engine(message: impl Into<String>) -> Self {
        Self::new("engine", message)
    }

    /// The browser gives no more room.
    fn quota() -> Self {
        Self::new("quota", "the browser gives no more room")
    }

    /// A document or a long text cannot be had, or not be sent.
    fn document(reason: &str, message: String) -> Self {
        Self::new("document", message).because(reason)
    }

    /// What the browser says is wrong with a document.
    pub(crate) fn from_browser(error: &JsValue) -> Self {
        match is_full(error) {
            true => Self::quota(),
            false => Self::document("browser", text(error)),
        }
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new("internal", message)
    }
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Format { .. } => {
                Self::engine(format!("another version of this page has this account: {error}")).because("version")
            }
            StoreError::Full => Self::quota(),
            _ => Self::new("store", error.to_string()),
        }
    }
}

impl From<NetworkError> for PageError {
    fn from(error: NetworkError) -> Self {
        let code = match &error {
            NetworkError::Displaced => "displaced",
            _ => "network",
        };
        Self::new(code, error.to_string())
    }
}

impl From<AgentError> for PageError {
    fn from(error: AgentError) -> Self {
        match error {
            AgentError::Network(failure) => failure.into(),
            AgentError::Handle(HandleError::Store(error)) => error.into(),
            AgentError::Handle(HandleError::Engine(EngineError::WrongRecoveryKey(_))) => {
                Self::new("refused", error.to_string()).because("wrong_recovery_key")
            }
            AgentError::Handle(HandleError::Engine(EngineError::UnknownMessage)) => {
                Self::not_found("there is no such message")
            }
            AgentError::Handle(HandleError::Engine(
                error @ (EngineError::Content(_) | EngineError::AttachmentTooLarge { .. }),
            )) => Self::argument(error.to_string()),
            AgentError::AccountUnknown => Self::new("refused", error.to_string()).because("UnknownAccount"),
            AgentError::Refused(word) => Self::refused(&word),
            AgentError::Contact { ref problem, .. } => Self::new("contact", error.to_string()).because(problem.code()),
            AgentError::Linking(ref problem) => Self::new("linking", error.to_string()).because(problem.code()),
            AgentError::SealedCopy(error) => error.into(),
            AgentError::Download(error) => error.into(),
            AgentError::Fetch(error) => DownloadError::from(error).into(),
            AgentError::Source(error) => Self::document("unreadable", error.to_string()),
            AgentError::NoBody(ref word) => Self::document(word, error.to_string()),
            AgentError::Stalled => Self::document("stalled", error.to_string()),
            error => Self::engine(error.to_string()),
        }
    }
}

impl From<SealedCopyError> for PageError {
    fn from(error: SealedCopyError) -> Self {
        let reason = match &error {
            SealedCopyError::Full => return Self::quota(),
            SealedCopyError::Source(_) => "unreadable",
            SealedCopyError::Missing => "sealed_copy_missing",
            SealedCopyError::Damaged(_) => "sealed_copy_damaged",
            SealedCopyError::Disk { .. } | SealedCopyError::Medium(_) => return Self::new("store", error.to_string()),
        };
        Self::document(reason, error.to_string())
    }
}

impl From<DownloadError> for PageError {
    fn from(error: DownloadError) -> Self {
        let reason = match &error {
            DownloadError::Fetch(error) => error.code().0,
            DownloadError::Photo(_) => "photo".to_owned(),
        };
        Self::document(&reason, error.to_string())
    }
}

impl From<PageError> for JsValue {
    fn from(error: PageError) -> Self {
        let made = js_sys::Error::new(&error.message);
        // Setting a property of an object that was made just now does not fail.
        let _ = Reflect::set(&made, &"code".into(), &error.code.into());
        if let Some(reason) = error.reason {
            let _ = Reflect::set(&made, &"reason".into(), &reason.into());
        }
        made.into()
    }
}
