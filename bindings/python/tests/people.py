"""What every test has: a real server, people with accounts, listeners and a keystore."""

import tempfile
import threading
import unittest
from pathlib import Path

import medipeps
from medipeps_server import DOMAIN, Server

PASSPHRASE = "a long passphrase"


class Heard(medipeps.EventListener):
    """Keeps what it hears; throws if it is told to."""

    def __init__(self):
        self.events, self.throws, self.changed = [], False, threading.Condition()

    def on_event(self, event):
        with self.changed:
            self.events.append(event)
            self.changed.notify_all()
        if self.throws:
            raise ValueError("this listener fails")

    def wait_for(self, kind, seconds=20):
        with self.changed:
            found = lambda: next((event for event in self.events if isinstance(event, kind)), None)
            assert self.changed.wait_for(lambda: found() is not None, seconds), f"{kind} was not heard: {self.events}"
            return found()


class Vault(medipeps.KeyVault):
    """A keystore in memory."""

    def __init__(self):
        self.key, self.error = None, None

    def load(self):
        if self.error:
            raise self.error
        return self.key

    def store(self, key):
        self.key = bytes(key)


class FileVault(medipeps.KeyVault):
    """A keystore in a file, for two processes."""

    def __init__(self, path):
        self.path = Path(path)

    def load(self):
        return self.path.read_bytes() if self.path.exists() else None

    def store(self, key):
        self.path.write_bytes(bytes(key))


def draft(to, subject, text, **more):
    return medipeps.MailDraft(to=to, subject=subject, text=text, urgency=medipeps.Urgency.ROUTINE, **more)


class PeopleTest(unittest.IsolatedAsyncioTestCase):
    """A server for each test, in a folder of its own."""

    def setUp(self):
        self.kept = tempfile.TemporaryDirectory()
        self.folder = Path(self.kept.name)
        self.server = Server(self.folder)

    def tearDown(self):
        self.server.close()
        self.kept.cleanup()

    def home(self, name):
        return str(self.folder / name)

    async def person(self, name, display):
        client = await medipeps.Client.create(self.home(name), medipeps.StoreLock.PASSPHRASE(PASSPHRASE))
        request = medipeps.AccountRequest(
            invitation=self.server.invite(), address=f"{name}@{DOMAIN}", name=display, server=self.server.address
        )
        created = await client.create_account(request)
        assert created.account.registered and created.recovery_key
        return client
