"""How accounts come and go, and what does not ring: through the generated Python."""

import datetime

import medipeps
from medipeps_server import DOMAIN, Server
from people import PASSPHRASE, PeopleTest, draft

LOCK = medipeps.StoreLock.PASSPHRASE(PASSPHRASE)


class AccountsTest(PeopleTest):
    async def test_a_recovery_key_is_not_lost_with_the_network(self):
        client = await medipeps.Client.create(self.home("claire"), LOCK)
        request = medipeps.AccountRequest(
            invitation=self.server.invite(), address=f"claire@{DOMAIN}", name="Claire", server=self.server.address
        )
        self.server.close()
        with self.assertRaises(medipeps.MedipepsError.Network):
            await client.create_account(request)
        self.server = Server(self.folder, self.server.address)
        created = await client.create_account(request)
        self.assertEqual(len(created.recovery_key.replace(" ", "")), 52)
        await client.shut_down()

    async def test_an_account_is_taken_over_with_its_recovery_key_and_deleted(self):
        client = await medipeps.Client.create(self.home("claire"), LOCK)
        address = f"claire@{DOMAIN}"
        request = medipeps.AccountRequest(
            invitation=self.server.invite(), address=address, name="Claire", server=self.server.address
        )
        key = (await client.create_account(request)).recovery_key
        await client.sync(0)
        other = await medipeps.Client.create(self.home("found"), LOCK)
        recovery = lambda key: medipeps.RecoveryRequest(
            address=address, name="Claire", server=self.server.address, recovery_key=key, server_key=self.server.key
        )
        with self.assertRaises(medipeps.MedipepsError.Argument):
            await other.recover_account(recovery(key[:-1]))
        with self.assertRaises(medipeps.MedipepsError.Rejected) as error:
            await other.recover_account(recovery("A" * 52))
        self.assertEqual((error.exception.reason, await other.account()), ("wrong_recovery_key", None))
        recovered = await other.recover_account(recovery(key.lower()))
        self.assertTrue(recovered.account.registered)
        self.assertNotIn(recovered.recovery_key, (None, key))
        with self.assertRaises(medipeps.MedipepsError.AccountGone):
            await client.sync(0)
        karim = await self.person("karim", "Karim")
        await karim.send_mail(draft([address], "Sujet", "Texte"), 20)
        self.assertEqual((await other.sync(0)).received, 1)
        await other.delete_account()
        self.assertTrue((await other.account()).revoked)
        self.assertEqual([one.subject for one in await other.messages()], ["Sujet"])
        with self.assertRaises(medipeps.MedipepsError.ContactRefused):
            await karim.add_contact(address, False)
        for one in (client, other, karim):
            await one.shut_down()

    async def test_what_is_muted_comes_and_does_not_ring(self):
        claire, karim = [await self.person(name, name.title()) for name in ("claire", "karim")]
        await claire.sync(0)
        of_karim = medipeps.Conversation.OF_ACCOUNT(f"karim@{DOMAIN}")
        past = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
        with self.assertRaises(medipeps.MedipepsError.Argument):
            await claire.mute(of_karim, past)
        await claire.mute(of_karim, None)
        self.assertEqual(await claire.muted_conversations(), [medipeps.MutedConversation(conversation=of_karim, until=None)])
        await karim.send_mail(draft([f"claire@{DOMAIN}"], "Un", "x"), 20)
        report = await claire.sync(0)
        self.assertEqual((report.received, len(await claire.messages())), (1, 1))
        await claire.unmute(of_karim)
        self.assertEqual(await claire.muted_conversations(), [])
        await claire.accept(f"karim@{DOMAIN}")
        await claire.renew_delivery_key()
        group = await claire.create_group(medipeps.GroupRequest(name="Ward", members=[]))
        kept = await claire.set_group_retention(group.id, 30)
        self.assertEqual(kept.retention_days, 30)
        anew = await claire.recreate_group(group.id)
        former = next(one for one in await claire.groups() if one.id == group.id)
        self.assertEqual((former.successor, anew.name), (anew.id, "Ward"))
        for client in (claire, karim):
            await client.shut_down()
