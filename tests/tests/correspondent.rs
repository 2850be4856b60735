//! An account in this process: the agent that the command uses, without starting a program for each thing done.

use std::path::Path;
use std::time::Duration;

use medipeps_client::account_store::Status;
use medipeps_client::engine::{Attachment, CreateAccount, Input, MessageDetail, SendMail};
use medipeps_client::shell::agent::{Agent, Document};
use medipeps_client::store::seal::Unlock;
use medipeps_core::kind::{Body, ReceiptsWanted, Urgency};
use tokio::runtime::{Builder, Runtime};

use crate::person::Person;
use crate::process::PATIENCE;
use crate::server::{DOMAIN, Server};

/// The test that has an agent of its own on a home, or a whole account.
#[derive(Debug)]
pub struct Correspondent {
    pub address: String,
    agent: Agent,
    runtime: Runtime,
}

impl Correspondent {
    /// A new account.
    #[track_caller]
    pub fn register(folder: &Path, server: &Server, local: &str) -> Self {
        let runtime = runtime();
        let address = format!("{local}@{DOMAIN}");
        let mut agent = Agent::create(&folder.join(local).join("home"), &Unlock::Passphrase(b"passphrase")).unwrap();
        let create = Input::CreateAccount(CreateAccount {
            address: address.parse().unwrap(),
            name: format!("The Correspondent {local}"),
            server: server.host(),
            invitation: server.invite().parse().unwrap(),
        });
        assert!(runtime.block_on(agent.run(create, &mut |_| {})).unwrap().is_none());
        Self { address, agent, runtime }
    }

    /// A second program on somebody's home.
    pub fn beside(person: &Person) -> Self {
        let agent = Agent::open(&person.home(), &Unlock::Passphrase(person.passphrase().as_bytes())).unwrap();
        Self { address: person.address(), agent, runtime: runtime() }
    }

    /// Sends a mail; it is accepted at once.
    #[track_caller]
    pub fn send(&mut self, to: &str, subject: &str, body: &str, attachments: Vec<Attachment>) {
        let mail = Input::SendMail(SendMail { attachments, ..mail(to, subject, body) });
        let sent = self.runtime.block_on(async {
            self.agent.run(mail, &mut |_| {}).await?;
            self.agent.send_due(&mut |_| {}).await
        });
        assert!(sent.unwrap().is_none());
        assert!(self.status().outbox.is_empty(), "{:?}", self.status().outbox);
    }

    /// Sends what waits and fetches what has come.
    #[track_caller]
    pub fn sync(&mut self) {
        self.runtime.block_on(self.agent.sync(Duration::ZERO, &mut |_| {})).unwrap();
    }

    /// Sends a mail with documents of any size; gives back when it is with the recipient's server.
    #[track_caller]
    pub fn send_documents(&mut self, to: &str, subject: &str, documents: Vec<Document>) {
        let mail = mail(to, subject, "see attached");
        self.runtime.block_on(self.agent.send_mail(mail, documents, &mut |_| {})).unwrap();
        self.upload();
    }

    /// Uploads what is to be uploaded and sends what then is due.
    #[track_caller]
    pub fn upload(&mut self) {
        let start = std::time::Instant::now();
        while !self.agent.uploads().unwrap().is_empty() || !self.status().outbox.is_empty() {
            assert!(start.elapsed() < PATIENCE, "an upload does not come to its end");
            self.runtime.block_on(async {
                self.agent.transfer_for(Duration::from_millis(100), &mut |_| {}).await.unwrap();
                self.agent.send_due(&mut |_| {}).await.unwrap();
            });
        }
    }

    #[track_caller]
    pub fn status(&mut self) -> Status {
        self.agent.status().unwrap()
    }

    /// The only received message of this subject; it must be there once.
    #[track_caller]
    pub fn only(&mut self, subject: &str) -> MessageDetail {
        let mut found = self.agent.messages().unwrap();
        found.retain(|message| message.message.subject == subject && !message.message.sent);
        assert_eq!(found.len(), 1, "{subject:?} must be there once");
        self.runtime.block_on(self.agent.message(found[0].id)).unwrap()
    }
}

fn mail(to: &str, subject: &str, body: &str) -> SendMail {
    SendMail {
        to: vec![to.parse().unwrap()],
        cc: Vec::new(),
        subject: subject.to_owned(),
        text: body.to_owned(),
        html: None,
        attachments: Vec::new(),
        urgency: Urgency::Routine,
        receipts_wanted: ReceiptsWanted::default(),
        in_reply_to: None,
        body_copy: None,
    }
}

/// The text of a mail.
#[track_caller]
pub fn text(message: &MessageDetail) -> &str {
    match &message.content.body {
        Body::Mail(mail) => &mail.text,
        other => panic!("no mail: {other:?}"),
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}
