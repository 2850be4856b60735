//! The devices of the account, and the linking of a further one.

use medipeps_client::engine::{Event, Input, LinkDevice, LinkProblem};
use medipeps_client::shell::address::ServerAddress;
use medipeps_core::linking::LinkingCode;
use wasm_bindgen::prelude::*;

use super::{Account, Agent};
use crate::error::PageError;
use crate::record::device::{Device, LinkState};
use crate::record::{address, given};

#[wasm_bindgen]
impl Account {
    /// The devices of the account.
    ///
    /// # Errors
    /// `store`
    pub async fn devices(&self) -> Result<JsValue, JsValue> {
        let listed = async |agent: &mut Agent| Ok(agent.devices()?.into_iter().map(Device::from).collect::<Vec<_>>());
        given(&self.with(listed).await?)
    }

    /// New device: begins to belong to an account that has other devices, or goes on with that.
    ///
    /// # Errors
    /// `argument`, `network`, `linking`; `engine` where the store has an account.
    #[wasm_bindgen(js_name = becomeDevice)]
    pub async fn become_device(
        &self,
        account: String,
        server: String,
        name: String,
        anew: bool,
    ) -> Result<JsValue, JsValue> {
        let account = address(&account)?;
        let server: ServerAddress = server.trim().parse().map_err(|error| PageError::argument(format!("{error}")))?;
        let begun = async |agent: &mut Agent| {
            let mut told = Told::default();
            let hear = &mut |event: &Event| told.hear(event);
            let failure = agent.become_device(&account, &server, name.trim(), anew, hear).await?;
            let none = || failure.map_or_else(|| PageError::network("the server gave no answer"), PageError::from);
            told.state(agent)?.ok_or_else(none)
        };
        given(&self.with(begun).await?)
    }

    /// Primary device: begins to link the new device that shows this code.
    ///
    /// # Errors
    /// `argument`, `linking`, `network`; `engine` on a device that is not primary.
    #[wasm_bindgen(js_name = linkDevice)]
    pub async fn link_device(&self, code: String, make_primary: bool) -> Result<JsValue, JsValue> {
        let code: LinkingCode = code.trim().parse().map_err(|error| PageError::argument(format!("{error}")))?;
        self.step(Input::LinkDevice(LinkDevice { code, make_primary })).await
    }

    /// Goes on with a linking: with a person's answer to the digits, or by looking whether the other device has done something.
    ///
    /// # Errors
    /// `linking`: it is over; `not_found` where none was begun; `network`: to be tried again.
    #[wasm_bindgen(js_name = continueLinking)]
    pub async fn continue_linking(&self, agreed: Option<bool>) -> Result<JsValue, JsValue> {
        self.step(agreed.map_or(Input::LinkTick, |agreed| Input::LinkDecide { agreed })).await
    }

    /// Takes another device off the account, on a primary one.
    ///
    /// # Errors
    /// `engine`, `refused`; `network`: the list is signed and kept, and goes with the next sync.
    #[wasm_bindgen(js_name = revokeDevice)]
    pub async fn revoke_device(&self, id: u32) -> Result<(), JsValue> {
        let revoked = async |agent: &mut Agent| {
            let (mut changed, mut refusal) = (false, None);
            let mut hear = |event: &Event| match event {
                Event::OwnStatementChanged { .. } => changed = true,
                Event::OwnStatementRefused { code } => refusal = Some(code.clone()),
                _ => {}
            };
            let failure = agent.run(Input::RevokeDevice(id), &mut hear).await?;
            // Whoever receives may have been quicker with the answer.
            let is_gone = changed || agent.devices()?.iter().all(|device| device.device_id != id);
            match (is_gone, refusal, failure) {
                (true, _, _) => Ok(()),
                (false, Some(word), _) => Err(PageError::refused(&word)),
                (false, None, Some(failure)) => Err(failure.into()),
                (false, None, None) => Err(PageError::network("the server gave no answer")),
            }
        };
        Ok(self.with(revoked).await?)
    }

    /// Calls a device by another name, on all devices of the account.
    ///
    /// # Errors
    /// `engine`
    #[wasm_bindgen(js_name = renameDevice)]
    pub async fn rename_device(&self, id: u32, name: String) -> Result<(), JsValue> {
        self.done(Input::NameDevice { device_id: id, name: name.trim().to_owned() }).await
    }
}

impl Account {
    async fn step(&self, input: Input) -> Result<JsValue, JsValue> {
        let stepped = async |agent: &mut Agent| {
            let mut told = Told::default();
            let failure = agent.run(input, &mut |event| told.hear(event)).await?;
            match (told.state(agent)?, failure) {
                (_, Some(failure)) => Err(failure.into()),
                (Some(state), None) => Ok(state),
                (None, None) => Err(PageError::not_found("no linking was begun")),
            }
        };
        given(&self.with(stepped).await?)
    }
}

/// What the engine said of a linking.
#[derive(Debug, Default)]
struct Told {
    problem: Option<LinkProblem>,
    finished: bool,
}

impl Told {
    fn hear(&mut self, event: &Event) {
        match event {
            Event::LinkFailed(problem) => self.problem = Some(problem.clone()),
            Event::LinkFinished | Event::Linked { .. } => self.finished = true,
            _ => {}
        }
    }

    /// How far it has come; `None` if there is none.
    fn state(self, agent: &mut Agent) -> Result<Option<LinkState>, PageError> {
        if let Some(problem) = self.problem {
            return Err(PageError::linking(problem.code(), problem.to_string()));
        }
        let progress = agent.link_progress()?.map(LinkState::from);
        Ok(progress.or(self.finished.then_some(LinkState::Linked)))
    }
}
