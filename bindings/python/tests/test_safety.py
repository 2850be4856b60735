"""Devices, backups, descriptors, progress and the log, through the generated Python."""

import asyncio
import os
from pathlib import Path

import medipeps
from medipeps_server import DOMAIN
from people import PASSPHRASE, Heard, PeopleTest, draft

LOCK = medipeps.StoreLock.PASSPHRASE(PASSPHRASE)
SECRETS = ["Prélèvement-42", "À faire-43", PASSPHRASE]


class Progress(medipeps.ProgressListener, medipeps.TransferListener):
    def __init__(self):
        self.steps, self.throws = [], False

    def on_progress(self, done, total):
        self.steps.append((done, total))
        if self.throws:
            raise ValueError("this listener fails")

    def on_transfer(self, transfer):
        self.steps.append(transfer)
        if self.throws:
            raise ValueError("this listener fails")


class Log(medipeps.LogListener):
    def __init__(self):
        self.lines = []

    def on_log(self, level, module, line):
        self.lines.append((level, module, line))


class SafetyTest(PeopleTest):
    async def linked(self, claire, answers=(True, True)):
        """A second device of the account: both sides, step by step, as two people would."""
        tablet = await medipeps.Client.create(self.home("tablet"), LOCK)
        state = await tablet.become_device(f"claire@{DOMAIN}", self.server.address, "Ward tablet", False)
        while not isinstance(state, medipeps.LinkState.SHOW_CODE):
            state = await tablet.continue_linking(None)
        there = await claire.link_device(state.code, False)
        digits = []
        sides = [[tablet, state, answers[0]], [claire, there, answers[1]]]
        for _ in range(200):
            for side in sides:
                answer = None
                if isinstance(side[1], medipeps.LinkState.COMPARE) and side[2] is not None:
                    digits.append(side[1].digits)
                    answer, side[2] = side[2], None
                if not isinstance(side[1], medipeps.LinkState.LINKED):
                    side[1] = await side[0].continue_linking(answer)
            if all(isinstance(side[1], medipeps.LinkState.LINKED) for side in sides):
                assert len(digits) == 2 and digits[0] == digits[1], digits
                return tablet
            await asyncio.sleep(0.02)
        raise AssertionError(f"not linked: {sides}")

    async def test_a_second_device_is_linked_renamed_and_revoked(self):
        claire, karim = await self.person("claire", "Claire"), await self.person("karim", "Karim")
        tablet = await self.linked(claire)
        await tablet.sync(0)
        await claire.sync(0)
        self.assertEqual([device.name for device in await claire.devices()], [None, "Ward tablet"])
        await karim.send_mail(draft([f"claire@{DOMAIN}"], "to both", "text"), 20)
        for device in (claire, tablet):
            await device.sync(0)
            self.assertEqual([one.subject for one in await device.messages()], ["to both"])
        number = [device.id for device in await tablet.devices() if device.this_device][0]
        await claire.rename_device(number, "جناح ٤")
        await tablet.sync(0)
        self.assertEqual([device.name for device in await tablet.devices()][1], "جناح ٤")
        with self.assertRaises(medipeps.MedipepsError.Rejected):
            await tablet.revoke_device(1)
        await claire.revoke_device(number)
        with self.assertRaises(medipeps.MedipepsError.AccountGone):
            await tablet.sync(0)
        self.assertEqual(len(await claire.devices()), 1)
        for client in (claire, karim, tablet):
            await client.shut_down()

    async def test_a_no_ends_the_linking_and_a_wrong_code_is_none(self):
        claire = await self.person("claire", "Claire")
        with self.assertRaises(medipeps.MedipepsError.Argument) as wrong:
            await claire.link_device("MDPL-AAAA-BBBB", False)
        self.assertEqual(wrong.exception.reason, "code")
        with self.assertRaises(medipeps.MedipepsError.NotFound):
            await claire.continue_linking(None)
        with self.assertRaises(medipeps.MedipepsError.Linking) as refused:
            await self.linked(claire, answers=(False, True))
        self.assertIn(refused.exception.reason, ("refused", "stopped"))
        self.assertEqual(len(await claire.devices()), 1)
        await claire.shut_down()

    async def test_a_backup_becomes_a_new_device(self):
        claire, karim = await self.person("claire", "Claire"), await self.person("karim", "Karim")
        await karim.send_mail(draft([f"claire@{DOMAIN}"], "before", "text"), 20)
        await claire.sync(0)
        file, progress = str(self.folder / "backup.mdpb"), Progress()
        progress.throws = True
        summary = await claire.back_up(file, medipeps.BackupLock.NEW_RECOVERY_CODE(), False, progress)
        self.assertEqual((summary.messages, summary.contacts, summary.account_key), (1, 1, True))
        self.assertTrue(progress.steps and all(done <= total for done, total in progress.steps), progress.steps)
        with self.assertRaises(medipeps.MedipepsError.Backup) as exists:
            await claire.back_up(file, medipeps.BackupLock.PASSPHRASE("another"), False, None)
        self.assertEqual(exists.exception.reason, "exists")
        await claire.shut_down()
        new = self.home("new")
        for secret in ("AAAA BBBB CCCC", PASSPHRASE):
            with self.assertRaises(medipeps.MedipepsError.Backup) as refused:
                await medipeps.Client.restore(new, LOCK, file, secret, None)
            self.assertEqual(refused.exception.reason, "wrong_secret")
        whole = Path(file).read_bytes()
        cut = self.folder / "cut.mdpb"
        cut.write_bytes(whole[:-10])
        with self.assertRaises(medipeps.MedipepsError.Backup) as refused:
            await medipeps.Client.restore(new, LOCK, str(cut), summary.recovery_code, None)
        self.assertEqual(refused.exception.reason, "damaged")
        self.assertFalse(medipeps.store_exists(new))
        restored = await medipeps.Client.restore(new, LOCK, file, summary.recovery_code, progress)
        # The app dies here; what it opens then goes on.
        await restored.shut_down()
        restored = await medipeps.Client.open(new, LOCK)
        self.assertEqual(await restored.finish_restore(), medipeps.RestoreState.WORKS(primary=True))
        await karim.send_mail(draft([f"claire@{DOMAIN}"], "after", "text"), 20)
        await restored.sync(0)
        self.assertEqual([one.subject for one in await restored.messages()], ["after", "before"])
        with self.assertRaises(medipeps.MedipepsError.NotFound):
            await restored.finish_restore()
        with self.assertRaises(medipeps.MedipepsError.StoreExists):
            await medipeps.Client.restore(new, LOCK, file, summary.recovery_code, None)
        for client in (restored, karim):
            await client.shut_down()

    async def test_a_descriptor_is_read_in_pieces_and_stays_its_owners(self):
        claire, karim = await self.person("claire", "Claire"), await self.person("karim", "Karim")
        large, small = self.folder / "scan.dcm", self.folder / "small.txt"
        large.write_bytes(os.urandom(5_000_000))
        small.write_bytes(b"small")
        progress = Progress()
        progress.throws = True
        await claire.watch_transfers(progress)
        with open(large, "rb") as first, open(small, "rb") as second:
            first.seek(1_000_000)
            documents = [
                medipeps.Document.DESCRIPTOR(descriptor=first.fileno(), name="scan.dcm", media_type="application/dicom"),
                medipeps.Document.DESCRIPTOR(descriptor=second.fileno(), name="small.txt", media_type="text/plain"),
            ]
            sent = await claire.send_mail(draft([f"karim@{DOMAIN}"], "scan", "text", documents=documents), 0)
            self.assertEqual((first.tell(), len(first.read(10))), (1_000_000, 10))
        # The other app has taken its file back; what was read is kept.
        expected = large.read_bytes()
        large.unlink()
        await claire.sync(0)
        uploads = [one for one in progress.steps if one.direction == medipeps.TransferDirection.UPLOAD]
        self.assertTrue(uploads and uploads[-1].name == "scan.dcm" and uploads[-1].done == uploads[-1].total, uploads)
        await karim.sync(0)
        message = (await karim.messages())[0]
        saved = await karim.save_attachments(message.id, str(self.folder / "saved"))
        self.assertEqual([Path(one.path).read_bytes() for one in saved], [expected, b"small"])
        read, write = os.pipe()
        for descriptor, kind in ((read, medipeps.MedipepsError.File), (-1, medipeps.MedipepsError.Argument)):
            document = medipeps.Document.DESCRIPTOR(descriptor=descriptor, name="x", media_type="text/plain")
            with self.assertRaises(kind):
                await claire.send_mail(draft([f"karim@{DOMAIN}"], "no", "text", documents=[document]), 0)
        os.close(read)
        os.close(write)
        self.assertEqual([one.id for one in await claire.messages()], [sent.id], "what is refused is not queued")
        for client in (claire, karim):
            await client.shut_down()

    async def test_the_log_says_what_is_done_and_nothing_secret(self):
        log = Log()
        self.assertTrue(medipeps.set_log(log, medipeps.LogLevel.TRACE))
        claire, karim = await self.person("claire", "Claire"), await self.person("karim", "Karim")
        heard = Heard()
        heard.throws = True
        await karim.start_receiving(heard)
        heard.wait_for(medipeps.ClientEvent.READY)
        await claire.send_mail(draft([f"karim@{DOMAIN}"], *SECRETS[:2]), 20)
        heard.wait_for(medipeps.ClientEvent.MESSAGE_RECEIVED)
        for client in (claire, karim):
            await client.shut_down()
        said = "\n".join(line for _, _, line in log.lines)
        self.assertIn("connected transport=", said)
        self.assertIn("an event listener failed", said)
        for secret in SECRETS:
            self.assertNotIn(secret, said)
        self.assertTrue(all(module.startswith("medipeps") for _, module, _ in log.lines))
        quiet = Log()
        medipeps.set_log(quiet, medipeps.LogLevel.ERROR)
        before = len(log.lines)
        client = await medipeps.Client.open(self.home("claire"), LOCK)
        await client.sync(0)
        await client.shut_down()
        self.assertEqual((len(log.lines), [level for level, _, _ in quiet.lines]), (before, []))
