"""Cases, through the generated Python."""

import datetime

import medipeps
from medipeps_server import DOMAIN
from people import PeopleTest

TEXT = medipeps.ChatBody.TEXT


class CasesTest(PeopleTest):
    async def ward(self):
        """Three people in a group."""
        people = [await self.person(name, name.title()) for name in ("claire", "karim", "lea")]
        for one in people:
            await one.sync(0)
        claire, karim, lea = people
        members = [f"karim@{DOMAIN}", f"lea@{DOMAIN}"]
        group = await claire.create_group(medipeps.GroupRequest(name="Ward", members=members))
        for one in (karim, lea):
            await one.sync(0)
        return people, group.id

    async def test_a_case_has_a_team_and_an_end(self):
        (claire, karim, lea), group = await self.ward()
        patient = medipeps.Patient(identifier="1 60 05 75 116 042 19", assigning_authority="1.2.250.1.213.1.4.8")
        team = [medipeps.CaseMember(address=f"karim@{DOMAIN}", function="تخدير")]
        request = medipeps.CaseRequest(patient=patient, title="Avis: douleur", team=team)
        case = await claire.open_case(group, request)
        self.assertEqual([one.address for one in case.team], [f"claire@{DOMAIN}", f"karim@{DOMAIN}"])
        self.assertEqual([one.may_close for one in case.team], [True, False])
        await karim.sync(0)
        there = (await karim.cases(group))[0]
        self.assertEqual((there.case.patient, there.case.title, there.messages), (patient, "Avis: douleur", 0))
        document = medipeps.Document.DATA(data=b"ecg", name="ecg.txt", media_type="text/plain")
        said = await karim.say_in_case(group, case.id, TEXT("Morphine?"), None, [document])
        self.assertEqual(said.state, medipeps.GroupMessageState.LOGGED)
        for refused in (karim.close_case(group, case.id, "over"), lea.say_in_case(group, case.id, TEXT("x"), None, [])):
            await lea.sync(0)
            with self.assertRaises(medipeps.MedipepsError.Rejected) as error:
                await refused
            self.assertEqual(error.exception.reason, "case")
        await claire.sync(0)
        closed = await claire.close_case(group, case.id, "settled")
        self.assertIsInstance(closed.state, medipeps.CaseState.CLOSED)
        with self.assertRaises(medipeps.MedipepsError.Rejected):
            await claire.say_in_case(group, case.id, TEXT("late"), None, [])
        later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
        reopened = await claire.reopen_case(group, case.id, "again", later)
        self.assertEqual((reopened.state, abs(reopened.closes - later) < datetime.timedelta(seconds=1)), (medipeps.CaseState.OPEN(), True))
        new = [medipeps.CaseMember(address=f"{name}@{DOMAIN}", may_close=True) for name in ("claire", "lea")]
        await claire.change_case_team(group, case.id, new)
        await lea.sync(0)
        await lea.say_in_case(group, case.id, TEXT("Vu"), said.id, [])
        await claire.sync(0)
        contents = await claire.case_contents(group, case.id)
        self.assertEqual([one.body.text for one in contents.messages], ["Morphine?", "Vu"])
        self.assertEqual((contents.messages[1].in_reply_to, contents.messages[0].attachments[0].name), (said.id, "ecg.txt"))
        acts = [event.act.name for event in contents.case.events]
        self.assertEqual((acts, contents.refused), (["OPENED", "CLOSED", "REOPENED", "TEAM"], 0))
        exported = await claire.export_case(group, case.id)
        self.assertGreater(len(exported), 200)
        for client in (claire, karim, lea):
            await client.shut_down()

    async def test_what_can_be_no_case_is_refused_before_anything_is_sent(self):
        (claire, karim, lea), group = await self.ward()
        patient = medipeps.Patient(identifier="42")
        past = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
        twice = [medipeps.CaseMember(address=f"karim@{DOMAIN}")] * 2
        for request in (
            medipeps.CaseRequest(patient=medipeps.Patient(identifier=" "), title="x"),
            medipeps.CaseRequest(patient=patient, title="x", closes=past),
            medipeps.CaseRequest(patient=patient, title="x", team=twice),
            medipeps.CaseRequest(patient=patient, title=""),
        ):
            with self.assertRaises(medipeps.MedipepsError.Argument):
                await claire.open_case(group, request)
        with self.assertRaises(medipeps.MedipepsError.NotFound):
            await claire.cases("00" * 32)
        with self.assertRaises(medipeps.MedipepsError.NotFound):
            await claire.case_contents(group, "00" * 16)
        self.assertEqual((await claire.cases(group), await claire.group_messages(group, 10)), ([], []))
        for client in (claire, karim, lea):
            await client.shut_down()
