"""Who has an account open, and who is told what is read: through the generated Python."""

import medipeps
from medipeps_server import DOMAIN
from people import PASSPHRASE, Heard, PeopleTest

LOCK = medipeps.StoreLock.PASSPHRASE(PASSPHRASE)


class PresenceTest(PeopleTest):
    async def test_a_locked_account_is_closed_everywhere_and_a_wiped_one_is_gone(self):
        claire = await self.person("claire", "Claire")
        home, heard = self.home("claire"), Heard()
        await claire.start_receiving(heard)
        heard.wait_for(medipeps.ClientEvent.READY)
        self.assertEqual(await medipeps.lock_account(home), [])
        stopped = heard.wait_for(medipeps.ClientEvent.STOPPED)
        self.assertEqual(stopped.code, 1)
        with self.assertRaises(medipeps.MedipepsError.Closed) as error:
            await claire.account()
        self.assertEqual(error.exception.reason, "locked")
        await claire.shut_down()

        again = await medipeps.Client.open(home, LOCK)
        self.assertEqual((await again.account()).address, f"claire@{DOMAIN}")
        (self.folder / "claire" / "notes.txt").write_text("mine")
        wiped = await medipeps.wipe_account(home)
        self.assertEqual([one.rsplit("/", 1)[-1] for one in wiped.foreign], ["notes.txt"])
        self.assertFalse(medipeps.store_exists(home))
        with self.assertRaises(medipeps.MedipepsError.Closed):
            await again.account()
        with self.assertRaises(medipeps.MedipepsError.NoStore):
            await medipeps.lock_account(home)

    async def test_members_are_told_what_is_read_where_a_person_wants_it(self):
        claire, karim = [await self.person(name, name.title()) for name in ("claire", "karim")]
        for one in (claire, karim):
            await one.sync(0)
        group = await claire.create_group(medipeps.GroupRequest(name="Ward", members=[f"karim@{DOMAIN}"]))
        await karim.sync(0)
        self.assertTrue(group.tells_read_positions)
        quiet = await karim.tell_read_positions(group.id, False)
        self.assertFalse(quiet.tells_read_positions)
        for told, text in ((False, "Un"), (True, "Deux")):
            await karim.tell_read_positions(group.id, told)
            said = await claire.say(group.id, medipeps.ChatBody.TEXT(text), None, [])
            await karim.sync(0)
            number = (await karim.group_messages(group.id, 1))[0].number
            await karim.mark_group_displayed(group.id, number)
            await karim.sync(0)
            await claire.sync(0)
            member = next(one for one in (await claire.groups())[0].members if one.address == f"karim@{DOMAIN}")
            self.assertEqual(member.read_up_to, said.number if told else None)
        for client in (claire, karim):
            await client.shut_down()


class KindsTest(PeopleTest):
    async def test_what_is_said_of_a_case_is_no_text(self):
        claire = await self.person("claire", "Claire")
        await claire.sync(0)
        group = (await claire.create_group(medipeps.GroupRequest(name="Ward", members=[]))).id
        request = medipeps.CaseRequest(patient=medipeps.Patient(identifier="42"), title="Avis")
        case = await claire.open_case(group, request)
        await claire.close_case(group, case.id, "réglé")
        opening, closing = [one.body.says for one in await claire.group_messages(group, 9)]
        self.assertEqual((opening.title, [one.address for one in opening.team]), ("Avis", [f"claire@{DOMAIN}"]))
        self.assertEqual(closing, medipeps.CaseSays.CLOSING("réglé"))
        for body in (medipeps.ChatBody.ABOUT_CASE(closing), medipeps.ChatBody.MAILBOX_ANSWER(case.id, "x")):
            with self.assertRaises(medipeps.MedipepsError.Argument):
                await claire.say(group, body, None, [])
        await claire.shut_down()
