"""A real server for the tests: `MEDIPEPS_SERVER` names the program."""

import os
import socket
import subprocess
from pathlib import Path

DOMAIN = "clinic.example"


class Server:
    """A server that runs, in a folder of its own. `close` ends it."""

    def __init__(self, folder: Path):
        self.program = os.environ["MEDIPEPS_SERVER"]
        self.config = folder / "server.toml"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]
        self.config.write_text(
            f'domain = "{DOMAIN}"\nlisten = "127.0.0.1:{self.port}"\ndata_dir = "{folder / "data"}"\n'
        )
        self.process = subprocess.Popen(
            [self.program, "run", "--config", str(self.config)], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout.readline().startswith("listening on ")

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def invite(self) -> str:
        """The code of a new invitation."""
        words = [self.program, "admin", "invite", "--org", "Intensive care", "--config", str(self.config)]
        said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        return said.splitlines()[-1]

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        self.process.stdout.close()
