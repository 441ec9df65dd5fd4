"""Hostile templates over HTTP: each is answered in time with its reason, and nobody else notices."""

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from backend.db.database import Database
from backend.delivery.sending.send import Sender
from backend.rendering import pool
from backend.rendering.pool import Bounds, Pool
from tests.api.conftest import Site
from tests.benchmarks.steady import resident
from tests.factories import laboratory, notification
from tests.mail_provider import mail_provider
from tests.registry.http_client import Client
from tests.rendering.hostile import CONTAINED, DATA, HEAVY, REFUSED
from tests.smtp_server import SmtpServer

PATH = "/registry/v1/templates"
# What they cost is bounded by their own limits of a few seconds; without those some never end.
_BOUNDED_SECONDS = 20
_HOSTILE = REFUSED | CONTAINED | HEAVY


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Let what is tried have less time, so that this module does not take long."""
    child = "backend.rendering.preview_child"
    previews = Pool(child, Bounds(children=4, running=0.3, seconds=3.0, patience=6.0, waiting=8, capacity=8))
    acceptance = Pool(child, Bounds(children=4, running=0.1, seconds=2.0, patience=3.0, waiting=400, capacity=4_000))
    for before, made in ((pool.PREVIEWS, previews), (pool.ACCEPTANCE, acceptance)):
        for name in ("_bounds", "_children", "_threads"):
            setattr(before, name, getattr(made, name))
    yield
    previews.close()
    acceptance.close()


def _publish(client: Client, identifier: str, source: str, **more: Any) -> Any:
    body = {"name": "Hostile", "format": "html", "source": source, "subject": "S", **more}
    return client.put(f"{PATH}/{identifier}", json=body)


def _try(client: Client, identifier: str, source: str) -> Any:
    """Register a template and, if it was taken, preview it."""
    answer = _publish(client, identifier, source, sample_fields=DATA)
    if answer.status_code == 201:
        answer = client.post(f"{PATH}/{identifier}/preview", json={"fields": DATA})
    return answer


def test_every_hostile_template_is_refused_with_its_reason_and_the_server_is_well(client: Client) -> None:
    assert len(_HOSTILE) > 40
    _publish(client, "GOOD", "<p>{{ name }}</p>")

    def trial(number: int, name: str) -> None:
        began = time.monotonic()
        answer = _try(client, f"HOSTILE_{number}", _HOSTILE[name])
        assert time.monotonic() - began < _BOUNDED_SECONDS, name
        assert 400 <= answer.status_code < 500, (name, answer.text[:300])
        problem = answer.json()
        assert problem["code"] in {"invalid_template", "template_arguments", "invalid_request"}, (name, problem)
        assert len(problem["detail"]) > 10
        good = client.post(f"{PATH}/GOOD/preview", json={"fields": {"name": "<Ada>"}})
        assert (good.status_code, good.json()["html"]) == (200, "<p>&lt;Ada&gt;</p>"), name

    # As many at a time as there are children.
    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(trial, number, name) for number, name in enumerate(_HOSTILE)]:
            done.result()


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[SmtpServer]:
    with mail_provider(monkeypatch) as running:
        yield running


def _children() -> int:
    """Count the processes of previews that this process has, those that ended unseen too."""
    own = Path(f"/proc/{os.getpid()}/task")
    found: set[str] = set()
    for one in own.iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread may end meanwhile
            found.update((one / "children").read_text().split())
    lines = [Path(f"/proc/{child}/cmdline") for child in found]
    return sum(line.exists() and b"preview_child" in line.read_bytes() for line in lines)


def test_a_message_goes_out_at_once_while_hostile_previews_run(site: Site, mailbox: SmtpServer) -> None:
    heavy = "{% if name %}" + next(iter(HEAVY.values())) + "{% endif %}"
    site.laboratory.template("X_HOSTILE", heavy)
    answers: list[int] = []
    over = threading.Event()

    def attack() -> None:
        while not over.is_set():
            answers.append(site.post(f"{PATH}/X_HOSTILE/preview", {"fields": {"name": "x"}}).status_code)

    pool.ACCEPTANCE.close()  # its children are of the same kind, and may be there from tests before
    sender = Sender("worker-one")
    assert site.send(notification("first")).status_code == 202  # so that everything is there
    sender.send_some()
    before = resident(os.getpid())
    with ThreadPoolExecutor(4) as attackers:
        attacks = [attackers.submit(attack) for _ in range(4)]
        used, took = time.process_time(), []
        for number in range(4):
            began = time.monotonic()
            assert site.send(notification(f"S-{number}")).status_code == 202
            sender.send_some()
            mailbox.wait_for(2 + number)
            took.append(time.monotonic() - began)
            assert not any(one.done() for one in attacks)
        assert site.http.get(f"{PATH}/X_SAMPLE").status_code == 200
        while len(answers) < 8 and not all(one.done() for one in attacks):
            over.wait(0.05)
        over.set()
    assert max(took) < 2
    assert set(answers) == {422}
    # What they cost is paid by the children, not by this process.
    assert time.process_time() - used < 0.25 * len(answers)
    assert resident(os.getpid()) < before + 16
    assert _children() <= 4
    pool.PREVIEWS.close()
    assert _children() == 0


def test_honest_messages_go_at_once_while_every_hostile_template_is_sent(
    database: Database, site: Site, mailbox: SmtpServer
) -> None:
    hostile = laboratory(database, "Hostile")
    for number, source in enumerate(_HOSTILE.values()):  # as if each had got past its check
        hostile.template(f"H_{number}", source)
    token = site.authorization(hostile)
    left = iter(range(len(_HOSTILE)))
    answers: dict[int, Any] = {}
    taking = threading.Lock()

    def attack() -> None:
        while True:
            with taking:
                number = next(left, None)
            if number is None:
                return
            body = notification(template_id=f"H_{number}", recipient=["H_LAB"], fields=DATA)
            answers[number] = site.send(body, **token)

    sender, took = Sender("worker-one"), list[float]()
    assert site.send(notification("first")).status_code == 202  # so that everything is there
    sender.send_some()
    with ThreadPoolExecutor(4) as attackers:
        attacks = [attackers.submit(attack) for _ in range(4)]
        while not all(one.done() for one in attacks):
            began = time.monotonic()
            assert site.send(notification(f"S-{len(took)}")).status_code == 202
            sender.send_some()
            mailbox.wait_for(2 + len(took))
            took.append(time.monotonic() - began)
        for one in attacks:
            one.result()
    assert len(took) > 3
    assert max(took) < 2
    assert len(answers) == len(_HOSTILE) > 100
    for number, name in enumerate(_HOSTILE):
        problem = answers[number].json()
        assert problem["code"] in {"template_arguments", "render_share_exceeded", "unavailable"}, (name, problem)
        assert len(problem["detail"]) > 10
    assert sum(one.status_code == 422 for one in answers.values()) > 50
