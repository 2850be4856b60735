"""An app and its notification extension share one store (the situation on iOS), and the system kills either at any moment."""

import asyncio
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import medipeps
from medipeps_server import DOMAIN
from people import FileVault, PeopleTest, draft

ALTERNATIONS = 1000 if "MEDIPEPS_NIGHTLY" in os.environ else 40
# An app in the middle of an event that takes long.
HOLDS_THE_STORE = """
import sqlite3, sys, time
store = sqlite3.connect(sys.argv[1] + "/store.sqlite", isolation_level=None)
store.execute("BEGIN IMMEDIATE")
print("held", flush=True)
time.sleep(3600)
"""
PROGRAM = str(Path(__file__).with_name("other_process.py"))


class TwoProcessesTest(PeopleTest):
    async def shared(self):
        """An account whose key is in a file, as the Keychain has it for both processes."""
        key = self.folder / "key"
        client = await medipeps.Client.create(self.home("karim"), medipeps.StoreLock.VAULT(FileVault(str(key))))
        request = medipeps.AccountRequest(
            invitation=self.server.invite(), address=f"karim@{DOMAIN}", name="Karim", server=self.server.address
        )
        await client.create_account(request)
        return client, str(key)

    async def test_either_is_killed_at_any_moment_and_nothing_is_lost_or_used_twice(self):
        claire = await self.person("claire", "Claire")
        karim, key = await self.shared()
        # The keys of a new account are drawn by its first sync, which takes longer than most of these processes live: killed each time,
        # none would ever come further.
        await karim.sync(0)
        await karim.shut_down()
        seed = int.from_bytes(os.urandom(4), "big")
        chance, reached = random.Random(seed), {"open": 0, "fetched": 0, "sent": 0}
        before = None
        for turn in range(ALTERNATIONS):
            await claire.send_mail(draft([f"karim@{DOMAIN}"], f"mail {turn}", "text"), 20)
            words = [sys.executable, PROGRAM, self.home("karim"), key, f"claire@{DOMAIN}", str(turn)]
            process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            # The one before is killed while this one works: both have the store open.
            await asyncio.sleep(chance.uniform(0.02, 0.45))
            for said in self.ended(before):
                reached[said] += 1
            before = process
        for said in self.ended(before):
            reached[said] += 1
        karim = await medipeps.Client.open(self.home("karim"), medipeps.StoreLock.VAULT(FileVault(key)))
        report = await karim.sync(0)
        status = await karim.status()
        there = f"seed {seed}, reached {reached}"
        self.assertEqual((report.undecryptable, status.undecryptable, status.account.rolled_back), (0, 0, False), there)
        messages = await karim.messages()
        received = sorted(one.subject for one in messages if not one.sent)
        self.assertEqual(received, sorted(f"mail {turn}" for turn in range(ALTERNATIONS)), there)
        sent = sorted(one.subject for one in messages if one.sent)
        report = await claire.sync(0)
        status = await claire.status()
        self.assertEqual((report.undecryptable, status.undecryptable), (0, 0), there)
        self.assertEqual(sorted(one.subject for one in await claire.messages() if not one.sent), sent, there)
        self.assertEqual(len(set(sent)), len(sent), there)
        self.assertTrue(all(count > ALTERNATIONS // 20 for count in reached.values()), there)
        for client in (claire, karim):
            await client.shut_down()

    @staticmethod
    def ended(process):
        """Kills a process; gives how far it has come."""
        if process is None:
            return []
        process.kill()
        said, _ = process.communicate()
        return said.split()

    async def test_an_extension_that_cannot_have_the_store_says_so_after_two_seconds(self):
        claire = await self.person("claire", "Claire")
        karim, key = await self.shared()
        await karim.shut_down()
        await claire.send_mail(draft([f"karim@{DOMAIN}"], "wakes him", "text"), 20)
        app = subprocess.Popen(
            [sys.executable, "-c", HOLDS_THE_STORE, self.home("karim")], stdout=subprocess.PIPE, text=True
        )
        self.assertEqual(app.stdout.readline(), "held\n")
        begun = time.monotonic()
        with self.assertRaises(medipeps.MedipepsError.StoreBusy) as busy:
            lock = medipeps.StoreLock.VAULT(FileVault(key))
            extension = await medipeps.Client.open_for_notification(self.home("karim"), lock)
            await extension.sync(0)
        self.assertEqual((busy.exception.code, busy.exception.reason), (15, "busy"))
        # Two seconds, and time for a slow machine; without a wait of its own it would be 15.
        self.assertTrue(1.5 < time.monotonic() - begun < 10)
        self.ended(app)
        lock = medipeps.StoreLock.VAULT(FileVault(key))
        extension = await medipeps.Client.open_for_notification(self.home("karim"), lock)
        await extension.sync(0)
        self.assertEqual([one.subject for one in await extension.messages()], ["wakes him"])
        for client in (claire, extension):
            await client.shut_down()
