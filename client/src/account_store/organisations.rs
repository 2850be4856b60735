//! The organisations of an account, as a person or a program reads them.

use std::collections::BTreeMap;

use medipeps_core::Address;
use medipeps_core::identity::Statement;
use medipeps_core::kind::Author;
use medipeps_core::organisation::OrganisationService;
use medipeps_core::wire::client_records::{
    AdministratorKeyRecord, BreakGlassRecord, ContactRecord, OrganisationDraftRecord, OrganisationMemberRecord,
    OrganisationRecord,
};
use rand_core::CryptoRng;

use super::{AccountStore, HandleError, load};
use crate::engine::{
    AdministratorKeySummary, BreakGlassSummary, Certified, DraftSummary, EngineError, LocalId, MemberSummary,
    MessageSummary, OrganisationSummary, Time, class, key,
};
use crate::store::Store;

impl<S: Store> AccountStore<S> {
    /// The keys with which this person administers organisations, oldest first.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn administrator_keys(
        &mut self,
        now: Time,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<AdministratorKeySummary>, HandleError> {
        let records = self.all::<AdministratorKeyRecord>(class::ADMINISTRATOR_KEY, now, rng)?;
        let mut keys: Vec<_> = records.iter().map(AdministratorKeySummary::of).collect();
        keys.sort_by_key(|key| (key.created, key.public));
        Ok(keys)
    }

    /// All organisations that this device knows, those that nobody has joined last.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn organisations(
        &mut self,
        now: Time,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<OrganisationSummary>, HandleError> {
        let own = self.own_author(now, rng)?;
        let records = self.all::<OrganisationRecord>(class::ORGANISATION, now, rng)?;
        let summary = |record| OrganisationSummary::of(record, &own, now.0).map_err(EngineError::from);
        let mut organisations = records.into_iter().map(summary).collect::<Result<Vec<_>, _>>()?;
        organisations.sort_by_key(|one| (one.record.joined == 0, one.record.joined, one.record.id));
        Ok(organisations)
    }

    /// The other members of an organisation of whom something is known here, by address.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn organisation_members(
        &mut self,
        organisation: &OrganisationSummary,
        now: Time,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<MemberSummary>, HandleError> {
        let keys = self.account_keys(now, rng)?;
        let members = self.all::<OrganisationMemberRecord>(class::ORGANISATION_MEMBER, now, rng)?;
        let of = members.iter().filter(|member| member.organisation == organisation.record.id);
        let key = |address: &Address| keys.get(address).map(|author| author.account_key);
        Ok(of.map(|member| organisation.member(member, key(&member.address), now.0)).collect())
    }

    /// What waits for administrators' signatures, oldest first.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn organisation_drafts(
        &mut self,
        now: Time,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<DraftSummary>, HandleError> {
        let organisations = self.all::<OrganisationRecord>(class::ORGANISATION, now, rng)?;
        let records = self.store.begin(now.0, rng)?.scan(class::ORGANISATION_DRAFT)?;
        let mut drafts = Vec::new();
        for (name, value) in records.iter() {
            let Ok(id) = name.try_into() else { continue };
            let record: OrganisationDraftRecord = super::decode(class::ORGANISATION_DRAFT, value)?;
            let organisation = organisations.iter().find(|one| one.id == record.organisation);
            drafts.push(DraftSummary::of(id, record, organisation, now.0).map_err(EngineError::from)?);
        }
        drafts.sort_by_key(|draft| (draft.record.created, draft.id));
        Ok(drafts)
    }

    /// All statements of an organisation, encoded, from the first on.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn organisation_statements(
        &mut self,
        organisation: &OrganisationSummary,
        now: Time,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<Vec<u8>>, HandleError> {
        let transaction = self.store.begin(now.0, rng)?;
        let mut statements = Vec::new();
        for version in 1..=organisation.record.links.len() as u64 {
            let statement = load(&transaction, &key::organisation_statement(&organisation.record.id, version))?;
            statements.extend(statement.map(|statement| statement.to_vec()));
        }
        Ok(statements)
    }

    /// Access in emergencies, oldest first.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn break_glass(&mut self, now: Time, rng: &mut impl CryptoRng) -> Result<Vec<BreakGlassSummary>, HandleError> {
        let organisations = self.organisations(now, rng)?;
        let records = self.all::<BreakGlassRecord>(class::BREAK_GLASS, now, rng)?;
        let transaction = self.store.begin(now.0, rng)?;
        let mut all = Vec::new();
        for record in records {
            let notice = match record.notices.first() {
                Some((_, id)) => load(&transaction, &key::message(id))?,
                None => None,
            };
            let organisation = organisations.iter().find(|one| one.record.id == record.organisation);
            all.push(BreakGlassSummary::of(record, organisation, notice.as_ref(), now.0));
        }
        all.sort_by_key(|one| (one.record.requested, one.record.request));
        Ok(all)
    }

    /// What the organisations that are joined here say of contacts now, by address.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn certified_contacts(
        &mut self,
        now: Time,
        rng: &mut impl CryptoRng,
    ) -> Result<BTreeMap<Address, Vec<Certified>>, HandleError> {
        let keys = self.account_keys(now, rng)?;
        let organisations = self.organisations(now, rng)?;
        let mut certified: BTreeMap<Address, Vec<Certified>> = BTreeMap::new();
        for member in self.all::<OrganisationMemberRecord>(class::ORGANISATION_MEMBER, now, rng)? {
            let Some(account) = keys.get(&member.address) else { continue };
            let organisation = organisations.iter().find(|one| one.record.id == member.organisation);
            let said = organisation.and_then(|one| one.says_of(account, &member, now.0));
            certified.entry(member.address.clone()).or_default().extend(said);
        }
        Ok(certified)
    }

    /// What the organisations say of the senders of mails: of each by the account key under which it came. A mail whose sender's
    /// organisation has switched mail off is marked.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn certified_senders(
        &mut self,
        messages: &[MessageSummary],
        now: Time,
        rng: &mut impl CryptoRng,
    ) -> Result<BTreeMap<LocalId, Vec<Certified>>, HandleError> {
        let organisations = self.organisations(now, rng)?;
        let members = self.all::<OrganisationMemberRecord>(class::ORGANISATION_MEMBER, now, rng)?;
        let keys = self.account_keys(now, rng)?;
        let transaction = self.store.begin(now.0, rng)?;
        let mut certified: BTreeMap<LocalId, Vec<Certified>> = BTreeMap::new();
        for message in messages.iter().filter(|message| !message.message.sent) {
            let Some(account) = keys.get(&message.message.sender) else { continue };
            // The name of the record that a message has come has the sender's account key in it.
            let came = key::received(&account.address, account.account_key.as_bytes(), &message.message.content_id);
            if load(&transaction, &came)?.is_none_or(|id| id[..] != message.id) {
                continue;
            }
            for member in members.iter().filter(|member| member.address == account.address) {
                let organisation = organisations.iter().find(|one| one.record.id == member.organisation);
                let Some(organisation) = organisation else { continue };
                let Some(mut said) = organisation.says_of(account, member, now.0) else { continue };
                said.service_off = !organisation.chain.current().policy().is_on(OrganisationService::Mail);
                certified.entry(message.id).or_default().push(said);
            }
        }
        Ok(certified)
    }

    fn own_author(&mut self, now: Time, rng: &mut impl CryptoRng) -> Result<Author, HandleError> {
        let account = self.account(now, rng)?.ok_or(EngineError::NoAccount)?;
        let statement = Statement::decode(&account.statement).map_err(EngineError::from)?;
        Ok(Author { address: account.address, account_key: statement.account_key() })
    }

    /// Contacts by address, as they are pinned.
    fn account_keys(&mut self, now: Time, rng: &mut impl CryptoRng) -> Result<BTreeMap<Address, Author>, HandleError> {
        let mut keys = BTreeMap::new();
        for contact in self.all::<ContactRecord>(class::CONTACT, now, rng)? {
            let statement = Statement::decode(&contact.statement).map_err(EngineError::from)?;
            let author = Author { address: contact.address.clone(), account_key: statement.account_key() };
            keys.insert(contact.address, author);
        }
        Ok(keys)
    }
}
