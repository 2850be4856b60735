//! Servers: what the account's own one was agreed to do, and where others are.

use medipeps_client::engine::Input;

use super::Client;
use crate::MedipepsError;
use crate::identifier::server_address;
use crate::record::licence::Licence;

#[uniffi::export]
impl Client {
    /// The licence under which this account is, and the services opted in, as its server says now.
    ///
    /// # Errors
    /// `NoAccount`, `Network`, `Refused`.
    pub async fn licence(&self) -> Result<Licence, MedipepsError> {
        self.worker.call(async |agent| Ok(Licence::from(agent.tenant(&mut |_| {}).await?))).await
    }

    /// Where the accounts of another domain are reached, `HOST:PORT`, as a person says. Without it DNS or a trust list says so.
    ///
    /// # Errors
    /// `Argument`, `Rejected`.
    pub async fn set_server(&self, domain: String, server: String) -> Result<(), MedipepsError> {
        let endpoint = server_address(&server)?.to_string();
        let domain = domain.trim().to_ascii_lowercase();
        self.worker
            .call(async move |agent| {
                agent.run(Input::SetServer { domain, endpoint }, &mut |_| {}).await?;
                Ok(())
            })
            .await
    }
}
