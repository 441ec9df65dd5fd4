"""A web process and a worker that share the database, the queue and the key, and no file: every feature works.

Each has a data directory of its own, which was open to others before and is not afterwards.
"""

import re
import socket
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from backend.accounts.clients import SCOPES
from backend.db.database import Database
from tests.callbacks.receiver import Receiver
from tests.factories import BATCH_HTML, Laboratory, laboratory, notification
from tests.portal.people_and_messages import PASSWORD, user
from tests.storms.installation import Installation, Mailbox, wait_until

PATIENCE = 120  # seconds; processes start slowly on a busy machine
pytestmark = pytest.mark.timeout(400)
ADDRESS = "Ada Lovelace; 12 High Street; LONDON W1A 1AA"


@dataclass
class Machines:
    """Both machines, and what is outside of them."""

    lab: Laboratory
    web: Installation
    worker: Installation
    mailbox: Mailbox
    receiver: Receiver
    folders: tuple[Path, Path]
    http: httpx.Client

    def until(self, true: Callable[[], bool]) -> None:
        wait_until(true, PATIENCE, lambda: f"{self.web.lines()}\n{self.worker.lines()}")

    def token(self, path: str = "/portal/account") -> str:
        found = re.search(r'name="_csrf_token" value="(\w+)"', self.http.get(path).text)
        assert found
        return found[1]

    def form(self, path: str, at: str = "/portal/account", **fields: str) -> None:
        answer = self.http.post(path, data={"_csrf_token": self.token(at), **fields})
        assert answer.status_code in {200, 303}, answer.text

    def subjects(self) -> list[str]:
        texts = [path.read_text(errors="replace") for path in self.mailbox.folder.glob("*.eml")]
        return [found[1].strip() for text in texts if (found := re.search(r"^Subject: (.*)$", text, re.MULTILINE))]


@pytest.fixture
def machines(postgres_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    lab = laboratory(postgres_database)
    user(postgres_database, member_of=lab.service_id, role="editor")
    with Mailbox(tmp_path / "mailbox") as mailbox, Receiver() as receiver:
        folders, made = (tmp_path / "web", tmp_path / "worker"), list[Installation]()
        monkeypatch.setenv("CARILLON_OUTBOUND_ALLOW", receiver.host_port)
        for folder in folders:
            folder.mkdir()
            folder.chmod(0o777)
            (folder / "letters").mkdir(0o777)
            monkeypatch.setenv("CARILLON_DATA_DIR", str(folder))
            logs = folder.with_name(f"{folder.name} logs")
            logs.mkdir()
            made.append(Installation(logs, mailbox.address))
            monkeypatch.setenv("CARILLON_BASE_URL", made[0].base)
        with made[0] as web, made[1] as worker, httpx.Client(base_url=web.base) as http:
            web.start("serve")
            worker.start("worker")
            yield Machines(lab, web, worker, mailbox, receiver, folders, http)


def test_every_feature_works_without_a_shared_file(machines: Machines) -> None:
    machines.until(lambda: answers(machines.web.port))
    machines.form("/portal/sign-in", at="/portal/sign-in", email="ada@lab.example", password=PASSWORD)
    credentials = (machines.lab.client.client_id, machines.lab.client.client_secret)
    grant = {"grant_type": "client_credentials", "scope": " ".join(SCOPES)}
    token = machines.http.post("/oauth/token", data=grant, auth=credentials).json()["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    registered = machines.http.put("/registry/v1/callback", json={"url": machines.receiver.url}, headers=bearer)
    assert registered.status_code in {200, 201}, registered.text
    a_spreadsheet(machines)
    a_letter(machines, bearer)
    a_batch(machines, bearer)
    machines.until(lambda: len(machines.receiver.posted) >= 2)
    machines.form("/portal/password", at="/portal/password", email="ada@lab.example")
    machines.until(lambda: "Choose a new password for Carillon" in machines.subjects())
    asked_for_no_host_or_two(machines)
    assert "/metrics may be read from this machine without a proxy" in machines.web.lines()
    for folder in machines.folders:
        assert open_to_others(folder) == []
        assert "Others could reach" in (machines.web.lines() if folder.name == "web" else machines.worker.lines())
    assert not list(machines.folders[0].glob("spreadsheets/*"))


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def a_spreadsheet(machines: Machines) -> None:
    """Upload one through the web process; the worker checks it and sends it."""
    home = f"/portal/services/{machines.lab.service_id}"
    form = {
        "template": "X_SAMPLE",
        "channel": "EMAIL",
        "subject": "From a row",
        "name": "",
        "_csrf_token": machines.token(),
    }
    rows = "".join(f"p{row}@lab.example,S-{row}\n" for row in range(20))
    file = {"file": ("people.csv", f"email address,sample_id\n{rows}".encode(), "text/csv")}
    answer = machines.http.post(f"{home}/jobs", data=form, files=file)
    assert answer.status_code == 303, answer.text
    job = answer.headers["location"]

    def sent() -> bool:
        return (
            machines.http.post(f"{job}/send", data={"_csrf_token": machines.token(), "when": "now"}).status_code == 303
        )

    machines.until(sent)
    machines.until(lambda: machines.subjects().count("From a row") == 20)


def a_letter(machines: Machines, bearer: dict[str, str]) -> None:
    """Send one: it lies on the worker's machine, and the web process says where."""
    machines.lab.recipient("X_POST", ("LETTER", ADDRESS))
    body = notification(type="LETTER", recipient=["X_POST"], subject="A letter")
    uid = machines.http.post("/notifications/v1", json=body, headers=bearer).json()["notification_id"]
    machines.until(lambda: len(list(machines.folders[1].glob("letters/*/*.json"))) == 1)
    page = f"/portal/services/{machines.lab.service_id}/notifications/{uid}?view=answers"
    machines.until(lambda: f"spooled on {socket.gethostname()}" in machines.http.get(page).text)
    assert not list(machines.folders[0].glob("letters/*/*.json"))


def a_batch(machines: Machines, bearer: dict[str, str]) -> None:
    """Let two notifications be gathered, and flush them."""
    machines.lab.template("X_LIST", BATCH_HTML)
    for sample in ("S-1", "S-2"):
        fields = {"sample-id": sample}
        body = notification(template_id="X_LIST", fields=fields, priority="BATCH", aggregator_id="run", subject="Both")
        assert machines.http.post("/notifications/v1", json=body, headers=bearer).status_code == 202
    assert machines.http.post("/notifications/v1/aggregators/run/flush", headers=bearer).status_code < 300
    machines.until(lambda: "Both" in machines.subjects())


def asked_for_no_host_or_two(machines: Machines) -> None:
    for hosts in (b"", b"Host: a\r\nHost: a\r\n", b"Host: a\r\nHost: b\r\n"):
        with socket.create_connection(("127.0.0.1", machines.web.port), timeout=20) as line:
            line.sendall(b"GET /healthz HTTP/1.1\r\n" + hosts + b"Connection: close\r\n\r\n")
            heard = b"".join(iter(lambda: line.recv(4096), b""))
        assert heard.startswith(b"HTTP/1.1 400 "), heard
        assert b"application/problem+json" in heard


def open_to_others(folder: Path) -> list[str]:
    """List what somebody else than the owner may do anything with, in a folder and with itself."""
    paths = (folder, *folder.rglob("*"))
    return [str(path) for path in paths if stat.S_IMODE(path.stat().st_mode) & 0o077]
