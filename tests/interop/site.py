"""An installation of real processes with the demo service, and files for clients to send."""

import base64
import http.client
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from backend.commands.demo_access import DemoAccess
from tests.commands.conftest import Command
from tests.processes import Process
from tests.storms.installation import wait_until

STARTING_SECONDS = 60
SENDING = "/notifications/v1"


class Site:
    """A web process, and what its demo service may do."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.folder = command.data
        self.port = command.port
        access = json.loads((command.data / "demo.json").read_text())
        self._access = DemoAccess(**access)
        self.token = self._token("notifications:send")
        self.weak_token = self._token("registry:read")

    @property
    def client(self) -> tuple[str, str]:
        """Return the id and the secret of the demo service's API client."""
        return self._access.client_id, self._access.client_secret

    def _token(self, scope: str) -> str:
        client = ":".join(self.client).encode()
        headers = {
            "Authorization": f"Basic {base64.b64encode(client).decode()}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)  # it may still start
        form = urlencode({"grant_type": "client_credentials", "scope": scope})
        connection.request("POST", "/oauth/token", form, headers)
        return str(json.load(connection.getresponse())["access_token"])

    def notification(self, name: str, size: int = 0) -> Path:
        """Write a notification about a sample of this name, of at least so many bytes, to a file."""
        fields = {"sample_id": name, "attributes": [], "filling": "a" * size}
        channel = {
            "type": "EMAIL",
            "recipient": ["LAB_STAKEHOLDERS"],
            "subject": "Sample",
            "template_id": "ACCESSIONING_FAILURE",
            "fields": fields,
        }
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps({"channels": [channel], "priority": "NORMAL"}))
        return path


@contextmanager
def running(folder: Path) -> Iterator[Site]:
    """Run a new installation's web process."""
    command = Command(folder, RATE_LIMIT="1000000/minute")
    seeded = command.run("seed")
    assert seeded.returncode == 0, seeded.stderr
    web = command.start("serve")
    try:
        wait_for(command.port, web, command.data / "processes.log")
        yield Site(command)
    finally:
        web.send_signal(signal.SIGTERM)
        web.wait(20)


def wait_for(port: int, process: Process, log: Path) -> None:
    """Wait until the web process answers."""

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except OSError:
            return False

    wait_until(answers, STARTING_SECONDS, log.read_text)
