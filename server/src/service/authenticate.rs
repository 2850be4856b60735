//! `Authenticate`: a device proves itself for this connection. Whatever is wrong with the proof, the answer is the same.

use medipeps_core::identity::Statement;
use medipeps_core::wire::transport::{Authenticate, AuthenticateReply, ErrorCode, ErrorReply, Response};

use super::connection::ProvedDevice;
use super::{Connection, Moment, Service, internal, queue_failed, rate_limited, refuse, storage_failed};

impl Service {
    pub(super) async fn authenticate(
        &self,
        connection: &Connection,
        moment: Moment,
        nonce: [u8; 32],
        proof: Authenticate,
    ) -> Result<Response, ErrorReply> {
        self.limiters.proofs_per_address.take(moment.network, moment.now_ms).map_err(rate_limited)?;
        if connection.has_exporter() && !proof.exporter_bound {
            return Err(refuse(ErrorCode::ExporterRequired));
        }
        let refused = || refuse(ErrorCode::ProofRefused);
        if proof.exporter_bound != connection.has_exporter() || proof.transport != connection.transport() {
            return Err(refused());
        }
        let account = self.storage.account(&proof.address).await.map_err(storage_failed)?.ok_or_else(refused)?;
        let statement = Statement::decode(&account.statement).map_err(|_| internal("a stored statement is damaged"))?;
        let key = statement.device_keys(proof.device_id).ok_or_else(refused)?.signing_key;
        connection
            .channel(&nonce, &self.domain)
            .verify_proof(&key, &proof.address, proof.device_id, proof.generation, &proof.signature)
            .map_err(|_| refused())?;
        // Only whoever holds the device's key is told.
        Self::check_not_suspended(&account)?;
        let highest_generation = self
            .storage
            .report_generation(&proof.address, proof.device_id, proof.generation)
            .await
            .map_err(queue_failed)?;
        connection.prove(ProvedDevice::new(proof.address, proof.device_id, key, &account));
        Ok(Response::Authenticate(AuthenticateReply {
            highest_generation,
            statement_version: account.statement_version,
            incarnation: self.storage.incarnation(),
        }))
    }
}
