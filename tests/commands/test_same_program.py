"""One client program, run against a client of the mode live and one of the mode test: the same in every answer.

Web process and worker are real ones, and so is the server that callbacks are posted to.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.callbacks.receiver import Receiver
from tests.commands.conftest import STARTING_SECONDS, Command
from tests.factories import BATCH_HTML, HTML, notification
from tests.storms.installation import wait_until

SECONDS = 60
API = "/notifications/v1"
ENDS = {"delivered": "DELIVERED", "bounced": "FAILED", "refused": "FAILED", "throttled": "DELIVERED"}
# What differs between any two runs, and what says of which mode a run was.
_VARIES = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|msg_\w+|whsec_[\w+/=]+|\d{4}-\d\d-\d\dT[\d:.]+Z"
    r"|\d{4}-\d\d-\d\d \d\d:\d\d UTC|'mode': '\w+'"
)


class Installation:
    """A web process and a worker, with the clients that the command line has made."""

    def __init__(self, folder: Path, receiver: Receiver) -> None:
        settings = {"OUTBOUND_ALLOW": receiver.host_port, "BATCH_QUIET_SECONDS": "1"}
        self.command = Command(folder, **settings)
        assert self.command.run("migrate").returncode == 0
        self.made("services", "create", "Labs", "--live")
        self.processes = [self.command.start("serve"), self.command.start("worker")]
        wait_until(self._is_ready, STARTING_SECONDS, lambda: "the web process was not ready")

    def made(self, *arguments: str) -> dict[str, Any]:
        done = self.command.run(*arguments)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.command.base}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def client(self, mode: str) -> httpx.Client:
        made = self.made("clients", "create", "--service", "Labs", "--mode", mode)
        assert made["mode"] == mode
        http = httpx.Client(base_url=self.command.base, timeout=30)
        who = (made["client_id"], made["client_secret"])
        token = http.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=who).json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        return http


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Installation]:
    made = Installation(tmp_path_factory.mktemp("installation"), receiver)
    yield made
    for process in made.processes:
        process.kill()
        process.wait(10)


def _registered(http: httpx.Client) -> None:
    """Register what is the service's, whichever of its clients sends."""
    for name, source in (("X_SAMPLE", HTML), ("X_MANY", BATCH_HTML)):
        http.put(f"/registry/v1/templates/{name}", json={"name": name, "format": "html", "source": source})
    for fate in ENDS:
        endpoints = [{"type": "EMAIL", "address": f"{fate}@simulator.invalid"}]
        http.put(f"/registry/v1/recipients/X_{fate.upper()}", json={"name": fate, "endpoints": endpoints})


def _program(http: httpx.Client, url: str) -> tuple[list[Any], list[str]]:
    """Do what a client system does; return every answer, and the ids of what was accepted."""
    answers: list[httpx.Response] = []

    def ask(method: str, path: str, body: Any = None) -> httpx.Response:
        answers.append(http.request(method, path, json=body))
        return answers[-1]

    ask("PUT", "/registry/v1/callback", {"url": url})
    uids = []
    for fate in ENDS:
        body = notification(fate, recipient=[f"X_{fate.upper()}"])
        uids.append(ask("POST", API, body).json()["notification_id"])
        ask("POST", API, body)
    several = [notification(f"B-{one}", recipient=["X_DELIVERED"], priority="HIGH") for one in range(2)]
    done = ask("POST", f"{API}/bulk", {"notifications": [*several, notification("B-3", recipient=["X_NOBODY"])]})
    uids += [one["notification_id"] for one in done.json()["results"][:2]]
    gathered: dict[str, Any] = {"template_id": "X_MANY", "fields": {"sample-id": "S"}, "recipient": ["X_DELIVERED"]}
    uids.append(
        ask("POST", API, notification(**gathered, priority="BATCH", aggregator_id="run")).json()["notification_id"]
    )
    ask("POST", API, notification(recipient=["X_NOBODY"]))
    ask("POST", API, notification(fields={}, recipient=["X_DELIVERED"]))
    ask("GET", f"{API}/{uids[0][:-1]}")
    for uid in uids:
        wait_until(lambda uid=uid: _is_over(http, uid), SECONDS, lambda uid=uid: http.get(f"{API}/{uid}").text)  # type: ignore[misc]
    for uid in uids:
        ask("GET", f"{API}/{uid}")
    return [(one.status_code, one.json() if one.content else None) for one in answers], uids


def _is_over(http: httpx.Client, uid: str) -> bool:
    return http.get(f"{API}/{uid}").json()["status"] in {"DELIVERED", "FAILED"}


def _ended(receiver: Receiver) -> list[dict[str, Any]]:
    bodies = [one.read() for one in list(receiver.posted)]
    return [one for one in bodies if one["type"] != "notification.sent"]


def _masked(value: object) -> str:
    return _VARIES.sub("…", repr(value))


def test_the_same_program_runs_the_same_against_test_and_live(installation: Installation, receiver: Receiver) -> None:
    runs, told = {}, {}
    for mode in ("live", "test"):
        http = installation.client(mode)
        _registered(http)
        receiver.posted.clear()
        answers, uids = _program(http, receiver.url)
        ends = [http.get(f"{API}/{uid}").json()["status"] for uid in uids]
        assert ends == [*ENDS.values(), "DELIVERED", "DELIVERED", "DELIVERED"]
        listed = http.get(API, params={"mode": mode, "limit": 100}).json()["notifications"]
        assert {one["mode"] for one in listed} == {mode}
        assert {one["notification_id"] for one in listed} >= set(uids)
        # How each ended, and each delivery that failed. That it was sent is told where it was not over by then.
        wanted = len(uids) + sum(end == "FAILED" for end in ENDS.values())
        wait_until(lambda wanted=wanted: len(_ended(receiver)) >= wanted, SECONDS, lambda: repr(receiver.posted))  # type: ignore[misc]
        bodies = sorted(_ended(receiver), key=lambda one: (one["type"], _masked(one)))
        runs[mode], told[mode] = answers, [_masked(one) for one in bodies]
    for position, (live, test) in enumerate(zip(runs["live"], runs["test"], strict=True)):
        assert _masked(test) == _masked(live), position
    assert told["test"] == told["live"]
