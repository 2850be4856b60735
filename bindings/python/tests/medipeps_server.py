"""A real server for the tests: `MEDIPEPS_SERVER` names the program."""

import os
import subprocess
from pathlib import Path

DOMAIN = "clinic.example"
READY = "listening on "


class Server:
    """A server that runs, in a folder of its own. `close` ends it."""

    def __init__(self, folder: Path, listen: str = "127.0.0.1:0"):
        self.program = os.environ["MEDIPEPS_SERVER"]
        self.config = folder / "server.toml"
        # Port 0: it takes a free one and says which.
        # A push service that nobody runs: devices may be woken there, and never are.
        push = '[push]\nhosts = ["push.example"]\n'
        self.config.write_text(f'domain = "{DOMAIN}"\nlisten = "{listen}"\ndata_dir = "{folder / "data"}"\n{push}')
        self.process = subprocess.Popen(
            [self.program, "run", "--config", str(self.config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        said = self.process.stdout.readline()
        assert said.startswith(READY), said
        self.address = said.removeprefix(READY).split(",")[0]
        self.key = said.split()[-1]

    def invite(self) -> str:
        """The code of a new invitation."""
        words = [self.program, "admin", "invite", "--org", "Intensive care", "--config", str(self.config)]
        said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        return said.splitlines()[-1]

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        self.process.stdout.close()
