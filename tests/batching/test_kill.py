"""The whole product as processes: parallel senders over HTTP while the worker is killed in the middle of its work."""

import email
import os
import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email import policy
from email.message import EmailMessage
from functools import partial
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import func, select

from backend.db.database import Database
from backend.db.models.batches import Batch
from backend.db.models.notifications import Notification
from tests.batching.conftest import LIST
from tests.factories import Laboratory, laboratory, notification
from tests.processes import Process
from tests.storms.installation import Mailbox, free_port

SENDERS, EACH, AGGREGATORS = 8, 30, 20
PATIENCE = 90.0


@contextmanager
def process(log: Path, *command: str) -> Iterator[None]:
    """Run a ``carillon`` process, which is killed at the end of the block."""
    running = Process(command, os.environ, out=log)
    try:
        yield
    finally:
        running.kill()
        running.wait()


def wait(condition: Callable[[], object], what: str) -> None:
    """Wait until a condition holds; fail when it takes too long."""
    end, pause = time.monotonic() + PATIENCE, threading.Event()
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen in {PATIENCE} s"
        pause.wait(0.02)


def has(mailbox: Mailbox, count: int) -> bool:
    """Tell whether so many messages have come."""
    return mailbox.count() >= count


def messages(maildir: Path) -> list[EmailMessage]:
    """Read what has arrived, behind the two lines of its envelope."""
    files = sorted(maildir.glob("*.eml"))
    return [email.message_from_bytes(one.read_bytes().split(b"\r\n", 2)[2], policy=policy.default) for one in files]


def samples(message: EmailMessage) -> list[str]:
    """Return the samples that a message lists."""
    text = message.get_body(("plain",))
    assert text is not None
    return re.findall(r"\[([^\]]*)\]", text.get_content())


def answers(base: str) -> bool:
    """Tell whether the web process answers."""
    try:
        return httpx2.get(f"{base}/healthz", trust_env=False).status_code == 200
    except httpx2.TransportError:
        return False


def send_all(base: str, lab: Laboratory, sender: int) -> None:
    """Send one sender's notifications over its own connection, each to the next aggregator."""
    with httpx2.Client(base_url=base, trust_env=False, timeout=30) as http:
        form = {"grant_type": "client_credentials"}
        token = http.post("/oauth/token", data=form, auth=(lab.client.client_id, lab.client.client_secret)).json()
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        for number in range(EACH):
            aggregator_id = f"run-{(sender + number) % AGGREGATORS}"
            body = notification(
                f"{aggregator_id}/{sender}/{number}",
                template_id="X_LIST",
                priority="BATCH",
                aggregator_id=aggregator_id,
                content_type="text",
            )
            answer = http.post("/notifications/v1", json=body, headers=headers)
            assert (answer.status_code, answer.json()["status"]) == (202, "DISPATCHED"), answer.text


def check(arrived: list[EmailMessage]) -> None:
    """Find all that was sent: none lost, none in two different messages, each aggregator's and sender's in order."""
    contents: dict[str, list[str]] = {}
    for message in arrived:
        assert contents.setdefault(message["Message-ID"], samples(message)) == samples(message)
    homes: dict[str, list[str]] = defaultdict(list)
    for message_id, names in contents.items():
        assert len({name.split("/")[0] for name in names}) == 1
        for name in names:
            homes[name].append(message_id)
        for sender in range(SENDERS):
            mine = [int(name.split("/")[2]) for name in names if name.split("/")[1] == str(sender)]
            assert mine == sorted(mine)
    assert len(homes) == SENDERS * EACH
    assert Counter(len(one) for one in homes.values()) == {1: SENDERS * EACH}


@pytest.mark.timeout(240)
def test_a_killed_worker_loses_and_doubles_no_member(
    any_engine: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lab = laboratory(any_engine)
    lab.template("X_LIST", LIST, format="text", batch={"quiet_seconds": 0.2, "max_wait_seconds": 1, "max_items": 6})
    maildir, log, port = tmp_path / "mail", tmp_path / "processes.log", free_port()
    with Mailbox(maildir) as mailbox:
        monkeypatch.setenv("CARILLON_EMAIL_PROVIDERS", mailbox.address)
        with process(log, "serve", "--port", str(port)), ThreadPoolExecutor(SENDERS) as pool:
            base = f"http://127.0.0.1:{port}"
            wait(lambda: answers(base), "The web process")
            sending = [pool.submit(send_all, base, lab, sender) for sender in range(SENDERS)]
            for kill_after in (3, 20):
                with process(log, "worker"):  # killed with SIGKILL where this ends
                    wait(partial(has, mailbox, kill_after), "Mail before the kill")
            for one in sending:
                one.result()
            with process(log, "worker"):
                wait(lambda: statuses(any_engine) == {"SENT": SENDERS * EACH}, "Sending everything")
    check(messages(maildir))
    with any_engine.read() as session:
        assert set(session.scalars(select(Batch.status))) == {"SENT"}


def statuses(database: Database) -> dict[str, int]:
    """Count the notifications of each status."""
    with database.read() as session:
        rows = session.execute(select(Notification.status, func.count()).group_by(Notification.status))
        return dict(rows.all())
