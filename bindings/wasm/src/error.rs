//! Errors as a page sees them: an `Error` with a `code` to switch on.

use js_sys::Reflect;
use medipeps_client::account_store::HandleError;
use medipeps_client::shell::agent::{AgentError, NetworkError};
use medipeps_client::store::StoreError;
use wasm_bindgen::JsValue;

/// Why something was not done.
#[derive(Debug)]
pub(crate) struct PageError {
    code: &'static str,
    message: String,
}

impl PageError {
    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self { code: "argument", message: message.into() }
    }

    pub(crate) fn refused(code: &str) -> Self {
        Self { code: "refused", message: format!("the server refuses ({code})") }
    }

    /// Another call of this account has not come back.
    pub(crate) fn busy() -> Self {
        Self {
            code: "busy",
            message: "another call has not come back yet, or another page has this account".to_owned(),
        }
    }

    pub(crate) fn network(message: impl Into<String>) -> Self {
        Self { code: "network", message: message.into() }
    }
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        Self { code: "store", message: error.to_string() }
    }
}

impl From<NetworkError> for PageError {
    fn from(error: NetworkError) -> Self {
        Self::network(error.to_string())
    }
}

impl From<AgentError> for PageError {
    fn from(error: AgentError) -> Self {
        let code = match &error {
            AgentError::Handle(HandleError::Store(_)) => "store",
            AgentError::Network(_) => "network",
            AgentError::AccountUnknown | AgentError::Refused(_) => "refused",
            _ => "engine",
        };
        Self { code, message: error.to_string() }
    }
}

impl From<PageError> for JsValue {
    fn from(error: PageError) -> Self {
        let made = js_sys::Error::new(&error.message);
        // Setting a property of an object that was made just now does not fail.
        let _ = Reflect::set(&made, &"code".into(), &error.code.into());
        made.into()
    }
}
