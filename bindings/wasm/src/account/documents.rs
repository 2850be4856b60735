//! Files of messages, fetched whole.

use medipeps_client::shell::transfer::download::Download;
use medipeps_core::Address;
use medipeps_core::kind::Content;
use wasm_bindgen::prelude::*;

use super::groups::whole;
use super::{Account, Agent};
use crate::document::Parts;
use crate::error::PageError;
use crate::link::PageLink;
use crate::record::{group_id, local_id};

/// A file that can be fetched, and what kind of file it is said to be.
type Found = (Download<PageLink>, String);

#[wasm_bindgen]
impl Account {
    /// A file of a mail as a `Blob`, verified to the last byte. Other calls go on beside.
    ///
    /// # Errors
    /// `not_found`, `document`.
    pub async fn attachment(&self, id: String, index: u32) -> Result<JsValue, JsValue> {
        let id = local_id(&id)?;
        let found = async |agent: &mut Agent| {
            let detail = agent.outline(id)?;
            of(agent, &detail.message.sender, &detail.content, index)
        };
        self.fetched(self.with(found).await?).await
    }

    /// The same for a file of a group's message.
    ///
    /// # Errors
    /// `not_found`, `document`.
    #[wasm_bindgen(js_name = groupAttachment)]
    pub async fn group_attachment(&self, group: String, number: f64, index: u32) -> Result<JsValue, JsValue> {
        let (group, number) = (group_id(&group)?, whole(number)?);
        let found = async |agent: &mut Agent| {
            let said = agent.group_message(&group, number)?;
            of(agent, &said.message.sender, &said.content, index)
        };
        self.fetched(self.with(found).await?).await
    }
}

impl Account {
    async fn fetched(&self, (download, media_type): Found) -> Result<JsValue, JsValue> {
        let (parts, mut refused) = (Parts::default(), None);
        let take = async |part: &[u8]| {
            if let Err(error) = parts.add(part) {
                refused = Some(error);
            }
        };
        let fetched = download.run(take, |progress| self.listener.moved(progress)).await;
        fetched.map_err(PageError::from)?;
        match refused {
            Some(error) => Err(PageError::from_browser(&error).into()),
            None => Ok(parts.whole(&media_type).map_err(|error| PageError::from_browser(&error))?.into()),
        }
    }
}

fn of(agent: &mut Agent, sender: &Address, content: &Content, index: u32) -> Result<Found, PageError> {
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    let attachment = content.attachments.get(index);
    let attachment = attachment.ok_or_else(|| PageError::not_found("the message has no such attachment"))?;
    Ok((agent.download(sender, content, index)?, attachment.media_type.clone()))
}
