//! `Hello`: the server shows its key for this very connection.

use medipeps_core::wire::transport::{ErrorReply, HelloReply, Response};

use super::{Connection, Service, internal, refuse};

impl Service {
    pub(super) fn hello(&self, connection: &Connection) -> Result<Response, ErrorReply> {
        let mut nonce = [0; 32];
        self.environment.fill_random(&mut nonce).map_err(|_| internal("there is no randomness"))?;
        self.hello_with(connection, nonce)
    }

    fn hello_with(&self, connection: &Connection, nonce: [u8; 32]) -> Result<Response, ErrorReply> {
        if !connection.greet(nonce) {
            return Err(refuse(medipeps_core::wire::transport::ErrorCode::Malformed));
        }
        let key = &self.server_key;
        Ok(Response::Hello(HelloReply {
            nonce,
            domain: self.domain.clone(),
            server_key: *key.verifying_key().as_bytes(),
            signature: connection.channel(&nonce, &self.domain).sign_hello(key.signing_key()),
            transport: connection.transport(),
        }))
    }
}
