"""Which files of ``backend/`` one e-mail passes, from its ``POST`` to the final dot of SMTP.

``python -m tests.benchmarks.files_passed`` starts a web process and a worker whose interpreters note each file of which
a function begins to run, posts the same MJML template several times, and prints the files, in the order in which they
came. Background work (heartbeats, timers) runs in the same processes: what is counted is what ran for each of the
notifications. The first ones are left out, for they fill caches.
"""

import json
import mmap
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import httpx2
from sqlalchemy import select

from backend.accounts.oauth import access_tokens
from backend.cli import main as carillon
from backend.db.models.notifications import Delivery, DeliveryStatus
from backend.rendering.starters import starters
from tests.benchmarks import processes
from tests.benchmarks.accept import SCOPES
from tests.benchmarks.table import Installation, installation
from tests.patience import patient
from tests.smtp_server import SmtpServer

_BACKEND = str(Path(__file__).parents[2] / "backend") + "/"
_WARM, _COUNTED = 3, 10
# Of web process and worker, until they have told what nobody waits for: figures, logs, the next turn.
_REST_SECONDS = 0.3
_TEMPLATE = "ACCESSIONING_FAILURE"


class Recorder:
    """Notes files in a process: once for each notification, whose number a byte shared with all processes gives.

    While that is nought, nothing is noted.
    """

    def __init__(self, shared: Path, log: Path) -> None:
        with shared.open("r+b") as file:
            self._number = mmap.mmap(file.fileno(), 1)
        self._log = log.open("a", buffering=1)
        self._seen: set[tuple[int, str]] = set()

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> None:
        """Take an event of ``sys.setprofile``."""
        number = self._number[0]
        if event != "call" or not number or not frame.f_code.co_filename.startswith(_BACKEND):
            return
        key = (number, frame.f_code.co_filename.removeprefix(_BACKEND))
        if key not in self._seen:
            self._seen.add(key)
            self._log.write(f"{time.monotonic()} {number} {key[1]}\n")


class _Server(SmtpServer):
    """Takes mail, and has nothing noted any more from the final dot on."""

    def __init__(self, number: mmap.mmap) -> None:
        super().__init__()
        self._number = number

    async def handle_DATA(self, *given: Any) -> str:  # noqa: N802 - the name is aiosmtpd's
        self._number[0] = 0
        return await super().handle_DATA(*given)


def passed() -> list[str]:
    """Send some and return the files that each has passed, from ``backend/`` on, in the order of the last one."""
    with tempfile.TemporaryDirectory(prefix="carillon-files-") as name:
        shared, log = Path(name) / "number", Path(name) / "files"
        shared.write_bytes(b"\0")
        log.touch()
        with shared.open("r+b") as file:
            number = mmap.mmap(file.fileno(), 1)
        _send(number, shared, log)
        lines = sorted(line.split() for line in log.read_text().splitlines())
    each = [dict.fromkeys(path for _, one, path in lines if int(one) == wanted) for wanted in _numbers()]
    return [path for path in each[-1] if all(path in other for other in each)]


def _numbers() -> range:
    return range(_WARM + 1, _WARM + _COUNTED + 1)


def _send(number: mmap.mmap, shared: Path, log: Path) -> None:
    port = processes.free_port()
    with _Server(number) as server, installation("sqlite", PORT=str(port), EMAIL_PROVIDERS=server.address) as installed:
        starter = next(one for one in starters() if one.identifier == _TEMPLATE)
        installed.lab.template(_TEMPLATE, starter.source, format=starter.format, subject=starter.subject)
        with _noted("serve", installed, shared, log) as web, _noted("worker", installed, shared, log):
            processes.wait_for_port(port, web, installed.log)
            token = access_tokens.issue(installed.lab.client.client_id, SCOPES)
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            with httpx2.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False) as http:
                for count in range(1, _numbers().stop):
                    _wait_for_the_end(installed)
                    number[0] = count
                    http.post("/notifications/v1", content=json.dumps(_body(count))).raise_for_status()
                    server.wait_for(count, 30)


def _wait_for_the_end(installed: Installation) -> None:
    """Wait until of those before nothing is left to be written: it would count for the next one."""
    unfinished = select(Delivery.id).where(Delivery.status != DeliveryStatus.SENT)
    end = time.monotonic() + patient(30)
    while time.monotonic() < end:
        with installed.lab.database.read() as session:
            if session.scalar(unfinished.limit(1)) is None:
                break
        time.sleep(0.02)
    time.sleep(_REST_SECONDS)


def _noted(name: str, installed: Installation, shared: Path, log: Path) -> Any:
    command = (sys.executable, "-m", "tests.benchmarks.files_passed", str(shared), str(log), name)
    return processes.running(*command, env=installed.environment, log=installed.log)


def _body(count: int) -> dict[str, Any]:
    fields = {"sample_id": f"S-{count}", "attributes": [{"key": "Country", "value": "United Kindm"}]}
    channel = {"type": "EMAIL", "recipient": ["X_LAB"], "content_type": "html", "template_id": _TEMPLATE}
    return {"channels": [channel | {"fields": fields, "subject": "Sample not accessioned"}], "priority": "NORMAL"}


def main() -> None:
    """Count; or with arguments, be one of the processes."""
    if len(sys.argv) > 1:
        recorder = Recorder(Path(sys.argv[1]), Path(sys.argv[2]))
        threading.setprofile(recorder)
        sys.setprofile(recorder)
        sys.argv = ["carillon", *sys.argv[3:]]
        carillon()
        return
    found = passed()
    print(*found, sep="\n")
    print(len(found), "files")


if __name__ == "__main__":
    main()
