"""Mailboxes of organisations, through the generated Python."""

from pathlib import Path

import medipeps
from medipeps_server import DOMAIN
from people import Heard, PeopleTest, draft

STATE, ACT = medipeps.MailboxState, medipeps.MailboxAct


class MailboxesTest(PeopleTest):
    async def mailbox(self):
        """An account that is the mailbox of a group of two, and somebody outside who has written to it."""
        people = [await self.person(name, name.title()) for name in ("cardiology", "ben", "cleo", "dan")]
        for one in people:
            await one.sync(0)
        account, ben, cleo, dan = people
        members = [f"ben@{DOMAIN}", f"cleo@{DOMAIN}"]
        group = (await account.create_group(medipeps.GroupRequest(name="Cardiology", members=members))).id
        for one in (ben, cleo):
            await one.sync(0)
        await account.serve_mailbox(group)
        self.assertEqual((await account.served_mailbox(), await ben.served_mailbox()), (group, None))
        await dan.add_contact(f"cardiology@{DOMAIN}", False)
        return people, group

    async def write(self, dan, subject, *documents):
        await dan.send_mail(draft([f"cardiology@{DOMAIN}"], subject, "An appointment, please", documents=list(documents)), 20)

    async def posted(self, account, reader, group, count):
        """What the reader sees once the mailbox has posted as many messages."""
        for _ in range(10):
            await account.sync(1)
            await reader.sync(0)
            messages = await reader.mailbox_messages(group)
            if len(messages) == count:
                return messages
        self.fail(f"{len(messages)} of {count} messages were posted")

    async def refused(self, word, call):
        with self.assertRaises(medipeps.MedipepsError.Rejected) as error:
            await call
        self.assertEqual(error.exception.reason, word)

    async def test_what_comes_is_taken_care_of_by_one_and_answered_in_the_mailboxs_name(self):
        (account, ben, cleo, dan), group = await self.mailbox()
        heard = Heard()
        await cleo.start_receiving(heard)
        heard.wait_for(medipeps.ClientEvent.READY)
        letter = medipeps.Document.DATA(data=b"ecg", name="ecg.txt", media_type="text/plain")
        long = medipeps.Document.DATA(data=bytes(200_000), name="film.bin", media_type="application/octet-stream")
        await self.write(dan, "Lundi?", letter, long)
        (there,) = await self.posted(account, ben, group, 1)
        self.assertEqual((there.sender, there.sender_name, there.body.subject), (f"dan@{DOMAIN}", "Dan", "Lundi?"))
        self.assertEqual((there.state, there.answers, [one.name for one in there.attachments]), (STATE.UNCLAIMED(), 0, ["ecg.txt", "film.bin"]))
        saved = await ben.save_mailbox_attachments(group, there.id, self.home("saved"))
        self.assertEqual([Path(one.path).stat().st_size for one in saved], [3, 200_000])
        event = heard.wait_for(medipeps.ClientEvent.MAILBOX_CHANGED)
        self.assertEqual((event.group, event.message), (group, there.id))
        await cleo.stop_receiving()

        claimed = await ben.claim_mailbox_message(group, there.id)
        self.assertEqual((claimed.waits, claimed.message.state.by), (False, f"ben@{DOMAIN}"))
        await self.refused("mailbox_held", cleo.claim_mailbox_message(group, there.id))
        await self.refused("mailbox_held", cleo.release_mailbox_message(group, there.id))
        assigned = await ben.assign_mailbox_message(group, there.id, f"cleo@{DOMAIN}")
        self.assertEqual(assigned.message.state.by, f"cleo@{DOMAIN}")
        answer = await cleo.answer_mailbox_message(group, there.id, "Mardi à neuf heures")
        self.assertEqual(answer.state, medipeps.GroupMessageState.LOGGED)
        done = await cleo.finish_mailbox_message(group, there.id)
        self.assertIsInstance(done.message.state, STATE.DONE)
        self.assertEqual(done.message.answers, 1)
        await self.refused("mailbox_done", ben.claim_mailbox_message(group, there.id))
        for _ in range(2):
            await account.sync(1)
        await dan.sync(0)
        (received,) = [one for one in await dan.messages() if not one.sent]
        body = (await dan.message(received.id)).body
        self.assertEqual((received.sender, body.text), (f"cardiology@{DOMAIN}", "Mardi à neuf heures"))

        await ben.sync(0)
        arrival, claim, *_, answer, done, late = [one.body for one in await ben.group_messages(group, 99)]
        self.assertEqual(arrival, medipeps.ChatBody.MAILBOX_ARRIVAL(there.id, f"dan@{DOMAIN}"))
        self.assertEqual((claim.act, done.act, late.act, answer.text), (ACT.CLAIMED(), ACT.DONE(), ACT.CLAIMED(), "Mardi à neuf heures"))
        await cleo.release_mailbox_message(group, there.id)
        await self.refused("mailbox_unclaimed", cleo.finish_mailbox_message(group, there.id))
        acts = [ACT.ARRIVED(), ACT.CLAIMED(), ACT.ASSIGNED(f"cleo@{DOMAIN}"), ACT.DONE(), ACT.RELEASED()]
        trace = await cleo.mailbox_trace(group, there.id, None)
        self.assertEqual([one.act for one in trace], acts)
        self.assertEqual([one.by for one in trace][:2], [None, f"ben@{DOMAIN}"])
        of_ben = await cleo.mailbox_trace(group, None, f"ben@{DOMAIN}")
        self.assertEqual([one.act for one in of_ben], acts[1:3])
        for client in (account, ben, cleo, dan):
            await client.shut_down()

    async def test_what_somebody_holds_who_is_taken_out_is_free_again(self):
        (account, ben, cleo, dan), group = await self.mailbox()
        await self.write(dan, "Un")
        (there,) = await self.posted(account, ben, group, 1)
        await ben.claim_mailbox_message(group, there.id)
        await account.remove_from_group(group, [f"ben@{DOMAIN}"])
        await cleo.sync(0)
        message = await cleo.mailbox_message(group, there.id)
        self.assertEqual(message.state, STATE.UNCLAIMED())
        self.assertEqual((await cleo.mailbox_trace(group, there.id, None))[-1].act, ACT.HOLDER_LEFT(f"ben@{DOMAIN}"))
        with self.assertRaises(medipeps.MedipepsError.Rejected):
            await ben.claim_mailbox_message(group, there.id)
        for client in (account, ben, cleo, dan):
            await client.shut_down()

    async def test_without_its_server_a_claim_waits_and_what_is_not_there_is_refused(self):
        (account, ben, cleo, dan), group = await self.mailbox()
        await self.write(dan, "Un")
        (there,) = await self.posted(account, ben, group, 1)
        for call in (ben.claim_mailbox_message(group, "00" * 16), ben.mailbox_message(group, "00" * 16), ben.mailbox_messages("00" * 32)):
            with self.assertRaises(medipeps.MedipepsError.NotFound):
                await call
        with self.assertRaises(medipeps.MedipepsError.Argument):
            await ben.assign_mailbox_message(group, there.id, "nobody")
        with self.assertRaises(medipeps.MedipepsError.Argument):
            await ben.answer_mailbox_message(group, there.id, "")
        with self.assertRaises(medipeps.MedipepsError.Rejected):
            await ben.serve_mailbox(group)
        await account.stop_serving_mailbox()
        self.assertIsNone(await account.served_mailbox())
        self.server.close()
        waiting = await ben.claim_mailbox_message(group, there.id)
        self.assertEqual((waiting.waits, waiting.message.state), (True, STATE.UNCLAIMED()))
        for client in (account, ben, cleo, dan):
            await client.shut_down()
