"""Organisations, through the generated Python."""

import datetime

import medipeps
from medipeps_server import DOMAIN
from people import Heard, PeopleTest, draft

NAME = "Clinic of the Lake"
STATE, STANDING, CHANGE = medipeps.OrganisationState, medipeps.MemberStanding, medipeps.StatementChange
SERVICE = medipeps.OrganisationService


def in_days(days):
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)


def address(name):
    return f"{name}@{DOMAIN}"


class OrganisationsTest(PeopleTest):
    async def refused(self, word, call, kind=medipeps.MedipepsError.Rejected):
        with self.assertRaises(kind) as error:
            await call
        self.assertEqual(error.exception.reason, word)

    async def sign_and_publish(self, change, first, second):
        """What the first has drafted is signed by the second, and published by the first."""
        await second.sync(0)
        signed = await second.sign_draft(change.draft.id)
        self.assertTrue(signed.draft.ready)
        await first.sync(0)
        self.assertEqual(await first.publish_draft(change.draft.id), [])

    async def clinic(self, *others):
        """Claire and Karim administer it, and both must sign: they have joined by that. Nobody is a member yet."""
        people = [await self.person(name, name.title()) for name in ("claire", "karim", *others)]
        for one in people:
            await one.sync(0)
        claire, karim = people[:2]
        keys = [(await one.draw_administrator_key()).administrator for one in (claire, karim)]
        request = medipeps.OrganisationRequest(
            name=NAME,
            address=address("office"),
            administrators=keys,
            required_signatures=2,
            services=[SERVICE.CHAT(), SERVICE.MAIL()],
            seats=10,
            officer=address("karim"),
        )
        change = await claire.create_organisation(request)
        self.assertEqual((len(change.draft.signed_by), change.draft.required, change.draft.ready), (1, 2, False))
        await self.refused("not_enough_signatures", claire.publish_draft(change.draft.id))
        await self.sign_and_publish(change, claire, karim)
        await karim.sync(0)
        return people, change.draft.organisation, change.draft.digits

    async def certify(self, organisation, claire, karim, who, role):
        request = medipeps.CertificateRequest(member=who, role=role, ends=in_days(300))
        await self.sign_and_publish(await claire.certify_member(organisation, request), claire, karim)

    async def test_it_is_made_by_two_and_says_who_belongs_to_it(self):
        (claire, karim, anne), organisation, digits = await self.clinic("anne")
        there = await karim.organisation(organisation)
        self.assertEqual((there.state, there.digits, there.statement.name), (STATE.JOINED, digits, NAME))
        policy = there.statement.policy
        self.assertEqual((policy.services, policy.seats, policy.officer), ([SERVICE.MAIL(), SERVICE.CHAT()], 10, address("karim")))
        self.assertEqual({one.address for one in there.statement.administrators}, {address("claire"), address("karim")})

        heard = Heard()
        await anne.start_receiving(heard)
        await self.certify(organisation, claire, karim, address("anne"), "cardiology")
        event = heard.wait_for(medipeps.ClientEvent.ORGANISATION_TOLD)
        self.assertEqual((event.organisation, event.event), (organisation, medipeps.OrganisationEvent.OFFERED(NAME, address("claire"))))
        await anne.stop_receiving()
        await anne.sync(0)
        (offered,) = await anne.organisations()
        self.assertEqual((offered.state, offered.offered_by, offered.own.role), (STATE.OFFERED, address("claire"), "cardiology"))
        await self.refused("digits", anne.join_organisation(organisation, "0" * 30))
        await self.refused("not_joined", anne.on_call(organisation, None, None))
        joined = await anne.join_organisation(organisation, digits.replace(" ", ""))
        self.assertEqual(joined.state, STATE.JOINED)
        await self.refused("already_joined", anne.join_organisation(organisation, digits))
        await self.certify(organisation, claire, karim, address("karim"), "head nurse")

        # Anne shows her certificate to Karim, and gets his; what she writes is shown as a member's.
        self.assertEqual(await anne.present_certificate(organisation, [address("karim")], True), [])
        await karim.sync(0)
        await anne.sync(0)
        await anne.send_mail(draft([address("karim")], "Lit 4", "Kalium 6,1"), 20)
        await karim.sync(0)
        (mail,) = await karim.messages()
        self.assertEqual([(one.name, one.role, one.service_off) for one in mail.certified], [(NAME, "cardiology", False)])
        self.assertEqual((await karim.message(mail.id)).overview.certified, mail.certified)
        contact = next(one for one in await anne.contacts() if one.address == address("karim"))
        self.assertEqual([one.role for one in contact.certified], ["head nurse"])
        members = {one.address: one.standing for one in await karim.organisation_members(organisation)}
        self.assertIsInstance(members[address("anne")], STANDING.CERTIFIED)

        # A rota, and what is switched off.
        entry = medipeps.OnCallEntry(begins=in_days(-1), until=in_days(1), function="Cardiology", addresses=[address("anne")])
        changes = [CHANGE.ROTA([entry]), CHANGE.SERVICES([SERVICE.MAIL()])]
        await self.sign_and_publish(await claire.propose_statement(organisation, changes), claire, karim)
        await anne.sync(0)
        (on_call,) = await anne.on_call(organisation, "cardiology", None)
        self.assertEqual(on_call.addresses, [address("anne")])
        self.assertEqual(await anne.on_call(organisation, None, in_days(2)), [])
        await self.refused("service_off", anne.create_group(medipeps.GroupRequest(name="Ward", members=[])))

        # Who is revoked is no member any more, and leaves nothing behind.
        await self.sign_and_publish(await claire.propose_statement(organisation, [CHANGE.REVOKE_MEMBER(address("anne"))]), claire, karim)
        await anne.sync(0)
        own = (await anne.organisation(organisation)).own
        self.assertEqual((type(own), own.reason), (STANDING.LAPSED, "certificate_revoked"))
        await anne.leave_organisation(organisation)
        self.assertEqual(await anne.organisations(), [])
        for client in (claire, karim, anne):
            await client.shut_down()

    async def test_files_carry_what_no_server_does(self):
        (claire, karim, nadia), organisation, digits = await self.clinic("nadia")
        got = await nadia.import_organisation(await karim.export_organisation(organisation))
        self.assertEqual((got.organisation, got.draft), (organisation, None))
        self.assertEqual((await nadia.organisation(organisation)).digits, digits)
        await self.refused("file", nadia.import_organisation(b"no such file"), medipeps.MedipepsError.Argument)
        change = await claire.propose_statement(organisation, [CHANGE.RENAME("Clinic of the Hill")])
        got = await karim.import_organisation(await claire.export_draft(change.draft.id))
        self.assertEqual(got.draft, change.draft.id)
        (waiting,) = await karim.organisation_drafts()
        self.assertEqual((waiting.contents.statement.name, waiting.signed_here), ("Clinic of the Hill", False))
        await karim.sign_draft(waiting.id)
        await claire.import_organisation(await karim.export_draft(waiting.id))
        await claire.publish_draft(waiting.id)
        self.assertEqual((await claire.organisation(organisation)).statement.version, 2)
        self.assertEqual(await claire.organisation_drafts(), [])
        for client in (claire, karim, nadia):
            await client.shut_down()

    async def test_what_cannot_be_is_refused_by_its_word(self):
        (claire, karim), organisation, _ = await self.clinic()
        await self.refused("nothing_changed", claire.propose_statement(organisation, [CHANGE.SEATS(10)]))
        await self.refused("no_certificate", claire.propose_statement(organisation, [CHANGE.REVOKE_MEMBER(address("karim"))]))
        await self.refused("not_certified", claire.present_certificate(organisation, [address("karim")], False))
        await self.refused("no_break_glass", claire.request_break_glass(organisation, "why", "what"))
        missing = medipeps.MedipepsError.NotFound
        await self.refused("organisation", claire.organisation("00" * 32), missing)
        await self.refused("draft", claire.sign_draft("00" * 32), missing)
        await self.refused("request", claire.agree_to_break_glass("00" * 16), missing)
        wrong = medipeps.MedipepsError.Argument
        await self.refused("organisation_id", claire.organisation("00"), wrong)
        past = medipeps.CertificateRequest(member=address("karim"), role="nurse", ends=in_days(-1))
        await self.refused("ends", claire.certify_member(organisation, past), wrong)
        # A key on paper is the same on another device.
        drawn = await karim.draw_administrator_key()
        key = drawn.administrator.key
        await karim.forget_administrator_key(key)
        self.assertNotIn(key, [one.key for one in await karim.administrator_keys()])
        await self.refused("administrator_key", karim.forget_administrator_key(key), missing)
        self.assertEqual(await karim.add_administrator_key(drawn.secret.lower()), key)
        await self.refused("secret", karim.add_administrator_key(drawn.secret[1:]), wrong)
        for client in (claire, karim):
            await client.shut_down()

    async def test_a_group_is_for_members_and_its_officer_learns_who_said_what(self):
        (claire, karim, nadia), organisation, _ = await self.clinic("nadia")
        for name in ("claire", "karim"):
            await self.certify(organisation, claire, karim, address(name), "nurse")
        await karim.sync(0)
        ward = lambda *members: medipeps.GroupRequest(name="Ward", members=list(members), organisation=organisation)
        await self.refused("member_not_certified", claire.create_group(ward(address("nadia"))))
        group = await claire.create_group(ward(address("karim")))
        self.assertEqual((group.organisation, await claire.group_officer(group.id)), (address("office"), address("karim")))
        await karim.sync(0)
        said = await karim.say(group.id, medipeps.ChatBody.TEXT("You fool"), None, [])
        await claire.sync(0)
        number = next(one.number for one in await claire.group_messages(group.id, 9) if one.id == said.id)
        await claire.report_message(group.id, number, "An insult", None)
        await karim.sync(0)
        reported = [one for one in await karim.messages() if one.sender == address("claire")]
        body = (await karim.message(reported[-1].id)).body
        self.assertIsInstance(body, medipeps.MessageBody.REPORT)
        self.assertEqual((body.reason, body.group, body.problem), ("An insult", group.id, None))
        self.assertEqual((body.proven.sender, body.proven.body.text, body.proven.id), (address("karim"), "You fool", said.id))
        self.assertEqual(body.proven.known_key, medipeps.ReportedKey.NO_CONTACT)
        for client in (claire, karim, nadia):
            await client.shut_down()

    async def test_the_glass_is_broken_where_others_see_it(self):
        (claire, karim), organisation, _ = await self.clinic()
        group = (await claire.create_group(medipeps.GroupRequest(name="Emergencies", members=[address("karim")]))).id
        await karim.sync(0)
        policy = medipeps.BreakGlassPolicy(
            who=[address("karim")], required=1, minutes=30, notified=[address("karim")], group=group
        )
        await self.sign_and_publish(await claire.propose_statement(organisation, [CHANGE.BREAK_GLASS(policy)]), claire, karim)
        await karim.sync(0)
        self.assertEqual((await karim.organisation(organisation)).statement.policy.break_glass, policy)
        asked = await claire.request_break_glass(organisation, "Sans connaissance", "Le dossier du lit 4")
        self.assertEqual((asked.state, asked.requester, asked.required), (medipeps.BreakGlassState.REQUESTED, address("claire"), 1))
        await self.refused("not_agreed", claire.open_break_glass(asked.request))
        await karim.sync(0)
        agreed = await karim.agree_to_break_glass(asked.request)
        self.assertEqual(agreed.state, medipeps.BreakGlassState.GRANTED)
        await claire.sync(0)
        await claire.open_break_glass(asked.request)
        await claire.sync(0)
        (opened,) = await claire.break_glass_requests()
        self.assertEqual((opened.state, opened.agreed), (medipeps.BreakGlassState.OPEN, [address("karim")]))
        await karim.sync(0)
        (told,) = [await karim.message(one.id) for one in await karim.messages() if not one.sent]
        self.assertIsInstance(told.body.says, medipeps.BreakGlassSays.USED)
        self.assertEqual((told.body.request, told.body.says.subject), (asked.request, "Le dossier du lit 4"))
        says = [one.body.says for one in await karim.group_messages(group, 9)]
        self.assertEqual(says[0], medipeps.BreakGlassSays.REQUESTED("Sans connaissance", "Le dossier du lit 4"))
        ended = await claire.end_break_glass(asked.request)
        self.assertEqual(ended.state, medipeps.BreakGlassState.OVER)
        for client in (claire, karim):
            await client.shut_down()
