"""Two people and a real server, through the generated Python."""

import asyncio
import contextlib
import threading
from pathlib import Path

import medipeps
from medipeps_server import DOMAIN
from people import PASSPHRASE, Heard, PeopleTest, Vault, draft


class ClientTest(PeopleTest):
    async def test_two_people_write_to_each_other(self):
        claire, karim = await self.person("claire", "Dr Claire Martin"), await self.person("karim", "كريم بن علي 🩺")
        heard = Heard()
        await karim.start_receiving(heard)
        heard.wait_for(medipeps.ClientEvent.READY)
        letter = self.folder / "letter.txt"
        letter.write_bytes(b"x" * 300_000)
        documents = [
            medipeps.Document.FILE(path=str(letter), name="letter.txt", media_type="text/plain"),
            medipeps.Document.DATA(data=b"small", name="../evil.txt", media_type="text/plain"),
        ]
        sent = await claire.send_mail(
            draft([f"karim@{DOMAIN}"], "Prélèvement", "À faire", documents=documents, ask_displayed=True), 20
        )
        self.assertEqual(sent.recipients[0].state, medipeps.RecipientState.ACCEPTED)
        received = heard.wait_for(medipeps.ClientEvent.MESSAGE_RECEIVED)
        message = await karim.message(received.id)
        self.assertEqual((message.body.subject, message.body.text), ("Prélèvement", "À faire"))
        self.assertEqual(message.overview.sender_name, "Dr Claire Martin")
        saved = await karim.save_attachments(received.id, str(self.folder / "saved"))
        self.assertEqual(Path(saved[0].path).read_bytes(), letter.read_bytes())
        self.assertEqual(Path(saved[1].path).parent, self.folder / "saved")
        await karim.mark_displayed(received.id)
        await karim.stop_receiving()
        self.assertEqual(heard.events[-1].code, 0)
        answered = await karim.send_mail(draft([f"claire@{DOMAIN}"], "Re", "Fait", in_reply_to=received.id), 20)
        await claire.sync(0)
        overview = (await claire.messages())[0]
        self.assertEqual((overview.sender_name, overview.subject), ("كريم بن علي 🩺", "Re"))
        self.assertEqual((await claire.message(overview.id)).thread, message.thread)
        self.assertTrue(answered.id)
        for client in (claire, karim):
            await client.shut_down()

    async def test_a_group_talks(self):
        claire, karim = await self.person("claire", "Claire"), await self.person("karim", "Karim")
        # Whoever has never been connected since has no key packages at the server.
        await karim.sync(0)
        group = await claire.create_group(medipeps.GroupRequest(name="Ward 3", members=[f"karim@{DOMAIN}"]))
        await karim.sync(0)
        poll = medipeps.ChatBody.POLL(question="When?", options=["now", "later"], multiple=False, closes=None)
        said = await claire.say(group.id, poll, None, [])
        self.assertEqual(said.state, medipeps.GroupMessageState.LOGGED)
        await karim.sync(0)
        there = (await karim.group_messages(group.id, 10))[-1]
        self.assertEqual(there.body.options, ["now", "later"])
        await karim.say(group.id, medipeps.ChatBody.VOTE(poll=there.id, options=[1]), None, [])
        await claire.sync(0)
        self.assertEqual((await claire.group_messages(group.id, 10))[-1].body.options, [1])
        with self.assertRaises(medipeps.MedipepsError.NotFound):
            await claire.group_messages("00" * 32, 10)
        for client in (claire, karim):
            await client.shut_down()

    async def test_errors_are_typed_and_have_codes(self):
        client = await self.person("claire", "Claire")
        await client.shut_down()
        await client.shut_down()
        with self.assertRaises(medipeps.MedipepsError.Closed):
            await client.status()
        with self.assertRaises(medipeps.MedipepsError.WrongPassphrase) as wrong:
            await medipeps.Client.open(self.home("claire"), medipeps.StoreLock.PASSPHRASE("another"))
        self.assertEqual((wrong.exception.code, wrong.exception.reason), (12, "passphrase"))
        with self.assertRaises(medipeps.MedipepsError.StoreExists):
            await medipeps.Client.create(self.home("claire"), medipeps.StoreLock.PASSPHRASE("another"))
        with self.assertRaises(medipeps.MedipepsError.NoStore):
            await medipeps.Client.open(self.home("nobody"), medipeps.StoreLock.PASSPHRASE(PASSPHRASE))
        client = await medipeps.Client.open(self.home("claire"), medipeps.StoreLock.PASSPHRASE(PASSPHRASE))
        with self.assertRaises(medipeps.MedipepsError.Argument):
            await client.send_mail(draft(["no address"], "s", "t"), 0)
        with self.assertRaises(medipeps.MedipepsError.ContactRefused) as refused:
            await client.add_contact(f"nobody@{DOMAIN}", False)
        self.assertEqual(refused.exception.reason, "unknown_account")
        await client.shut_down()

    async def test_a_keystore_opens_the_store(self):
        vault = Vault()
        client = await medipeps.Client.create(self.home("claire"), medipeps.StoreLock.VAULT(vault))
        await client.shut_down()
        self.assertEqual(len(vault.key), 32)
        client = await medipeps.Client.open(self.home("claire"), medipeps.StoreLock.VAULT(vault))
        self.assertIsNone(await client.account())
        await client.shut_down()
        vault.error = medipeps.VaultError.Locked()
        with self.assertRaises(medipeps.MedipepsError.KeyVault) as locked:
            await medipeps.Client.open(self.home("claire"), medipeps.StoreLock.VAULT(vault))
        self.assertEqual(locked.exception.reason, "locked")
        vault.error = ValueError("an exception that nobody declared")
        with self.assertRaises(medipeps.MedipepsError.KeyVault):
            await medipeps.Client.open(self.home("claire"), medipeps.StoreLock.VAULT(vault))
        vault.error, vault.key = None, bytes(32)
        with self.assertRaises(medipeps.MedipepsError.WrongKey):
            await medipeps.Client.open(self.home("claire"), medipeps.StoreLock.VAULT(vault))

    async def test_a_listener_that_throws_changes_nothing(self):
        claire, karim = await self.person("claire", "Claire"), await self.person("karim", "Karim")
        heard = Heard()
        heard.throws = True
        await karim.start_receiving(heard)
        heard.wait_for(medipeps.ClientEvent.READY)
        await claire.send_mail(draft([f"karim@{DOMAIN}"], "one", "t"), 20)
        heard.wait_for(medipeps.ClientEvent.MESSAGE_RECEIVED)
        await karim.shut_down()
        self.assertIsInstance(heard.events[-1], medipeps.ClientEvent.STOPPED)
        await claire.shut_down()

    async def test_a_send_that_is_given_up_was_made_once_or_not_at_all(self):
        claire, karim = await self.person("claire", "Claire"), await self.person("karim", "Karim")
        for pause in (0, 0, 0.001, 0.005, 0.02, 0.1):
            sending = asyncio.ensure_future(claire.send_mail(draft([f"karim@{DOMAIN}"], f"after {pause}", "t"), 20))
            await asyncio.sleep(pause)
            sending.cancel()
            # A fast machine may have been done before.
            with contextlib.suppress(asyncio.CancelledError):
                await sending
        # What was begun is finished before anything else is done.
        sent = [one.subject for one in await claire.messages()]
        await claire.sync(0)
        await karim.sync(0)
        came = [one.subject for one in await karim.messages()]
        self.assertEqual(sorted(came), sorted(sent))
        self.assertLessEqual(len(came), 6)
        for client in (claire, karim):
            await client.shut_down()

    async def test_sixty_four_callers_at_once(self):
        claire = await self.person("claire", "Claire")
        outcomes = []

        def call():
            outcomes.append(asyncio.run(claire.status()).account.address)

        threads = [threading.Thread(target=call) for _ in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            await asyncio.to_thread(thread.join)
        self.assertEqual(outcomes, [f"claire@{DOMAIN}"] * 64)
        await claire.shut_down()
