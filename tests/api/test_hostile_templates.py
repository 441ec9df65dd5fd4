"""Hostile templates over HTTP: each is answered in time with its reason, and nobody else notices."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from backend.db.session import Database
from backend.rendering import pool
from backend.rendering.pool import Bounds, Pool
from tests.registry import door
from tests.registry.conftest import make_services
from tests.registry.door import Client
from tests.rendering.hostile import CONTAINED, DATA, HEAVY, REFUSED

PATH = "/registry/v1/templates"
_HOSTILE = REFUSED | CONTAINED | HEAVY


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Let previews have less time, so that this module does not take long."""
    made = Pool(
        "backend.rendering.preview_child", Bounds(children=4, running=0.3, seconds=3.0, patience=6.0, waiting=8)
    )
    before = pool.PREVIEWS
    for name in ("_bounds", "_children", "_room"):
        setattr(before, name, getattr(made, name))
    yield
    made.close()


@pytest.fixture
def client(database: Database) -> Iterator[Client]:
    with door.opened() as opened:
        opened.headers.update(door.authorization(database, make_services(database)[0]))
        yield opened


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
    for number, (name, source) in enumerate(_HOSTILE.items()):
        answer = _try(client, f"HOSTILE_{number}", source)
        assert 400 <= answer.status_code < 500, (name, answer.text[:300])
        problem = answer.json()
        assert problem["code"] in {"invalid_template", "template_arguments", "invalid_request"}, (name, problem)
        assert len(problem["detail"]) > 10
        good = client.post(f"{PATH}/GOOD/preview", json={"fields": {"name": "<Ada>"}})
        assert (good.status_code, good.json()["html"]) == (200, "<p>&lt;Ada&gt;</p>"), name


def test_hostile_previews_keep_nobody_waiting(client: Client) -> None:
    _publish(client, "GOOD", "<p>{{ name }}</p>")
    _publish(client, "HOSTILE", "{% if name %}" + next(iter(HEAVY.values())) + "{% endif %}")
    answers: list[int] = []

    def attack() -> None:
        answers.append(client.post(f"{PATH}/HOSTILE/preview", json={"fields": {"name": "x"}}).status_code)

    threads = [threading.Thread(target=attack) for _ in range(4)]
    for thread in threads:
        thread.start()
    used = time.process_time()
    assert client.get(f"{PATH}/GOOD").status_code == 200
    assert any(thread.is_alive() for thread in threads)
    for thread in threads:
        thread.join()
    assert answers == [422] * 4
    # What they cost is paid by the children, not by this process.
    assert time.process_time() - used < 1.5
