"""Whose notifications wait for whom: plain ones for nobody, slow ones for their own service, large ones a little."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Any

import pytest
from sqlalchemy import select

from backend.db.database import Database
from backend.db.models.batches import BatchMember
from backend.db.models.notifications import Notification, NotificationStatus
from backend.intake import admission
from backend.intake.accept import Accepted, IntakeResult, Refused, accept_group, accept_many
from backend.intake.admission import Admission
from backend.intake.content import Submission
from backend.intake.entries import Entry, Later
from backend.lib.fair_pool import Share
from backend.lib.problems import Problem
from backend.rendering import acceptance
from backend.rendering.model import Rendered, RenderJob
from backend.rendering.pool import Bounds, Pool
from tests.factories import Laboratory, laboratory, notification

WILD = "{{ [sample_id]|sort|first }}"


class Kitchen:
    """Renders only when it is told to, in the place of the child processes."""

    def __init__(self) -> None:
        self.asked: list[tuple[RenderJob, Share, Future[Rendered | Problem]]] = []
        self.changed = threading.Condition()

    def begin(self, job: RenderJob, share: Share) -> "Future[Rendered | Problem]":
        future: Future[Rendered | Problem] = Future()
        with self.changed:
            self.asked.append((job, share, future))
            self.changed.notify_all()
        return future

    def wait(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.asked) >= count, 10)

    def serve(self) -> None:
        for _, _, future in self.asked:
            if not future.done():
                future.set_result(Rendered("A subject", None, ""))


@pytest.fixture
def lab(database: Database) -> Laboratory:
    made = laboratory(database)
    made.template("X_WILD", WILD)
    return made


def wild(name: str = "S-1", **changes: Any) -> dict[str, Any]:
    return notification(name, template_id="X_WILD", **changes)


def nothing(_new: object) -> None:
    return None


def entries(lab: Laboratory, *bodies: object) -> list[Entry]:
    caller = object()
    return [Entry(submission=lab.submission(body), caller=caller) for body in bodies]


def known(lab: Laboratory) -> None:
    """Have the plain template compiled, as it is once it was used."""
    (outcome,) = accept_many([lab.submission(notification("known"))], nothing)
    assert isinstance(outcome, Accepted)


def test_a_group_waits_for_no_template_that_has_to_be_run(lab: Laboratory) -> None:
    known(lab)
    slow, plain = accept_group(entries(lab, wild(), notification("S-2")), nothing)
    assert isinstance(slow, Later)
    assert len(slow.jobs) == 1
    assert isinstance(plain, Accepted)


def test_plain_ones_are_accepted_while_slow_ones_wait_for_their_turn(
    lab: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(lab)
    kitchen = Kitchen()
    monkeypatch.setattr(acceptance, "begin", kitchen.begin)

    async def story() -> tuple[list[IntakeResult], list[IntakeResult]]:
        way = Admission(nothing)
        slow = [asyncio.create_task(way.submit(lab.submission(wild(f"W-{number}")))) for number in range(20)]
        await asyncio.to_thread(kitchen.wait, 20)
        plain = [await way.submit(lab.submission(notification(f"P-{number}"))) for number in range(5)]
        assert not any(task.done() for task in slow)
        kitchen.serve()
        return plain, list(await asyncio.gather(*slow))

    plain, slow = asyncio.run(asyncio.wait_for(story(), 30))
    assert all(isinstance(one, Accepted) and not one.duplicate for one in plain + slow)
    assert {share for _, share, _ in kitchen.asked} == {Share(lab.service_id)}


def test_high_is_rendered_on_an_account_of_its_own(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    kitchen = Kitchen()
    monkeypatch.setattr(acceptance, "begin", kitchen.begin)

    async def story() -> IntakeResult:
        task = asyncio.create_task(Admission(nothing).submit(lab.submission(wild(priority="HIGH"))))
        await asyncio.to_thread(kitchen.wait, 1)
        kitchen.serve()
        return await task

    assert isinstance(asyncio.run(story()), Accepted)
    assert kitchen.asked[0][1] == Share(lab.service_id, urgent=True)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    """Let nothing at all wait for a child."""
    made = Pool("backend.rendering.preview_child", Bounds(children=2, seconds=9.0, patience=3.0, waiting=0, capacity=9))
    monkeypatch.setattr(acceptance, "ACCEPTANCE", made)
    yield made
    made.close()


def test_who_renders_more_than_its_share_is_told_so_and_may_send_it_again(
    lab: Laboratory, narrow: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (refused,) = accept_many([lab.submission(wild())], nothing)
    assert isinstance(refused, Refused)
    problem = refused.problem
    assert (problem.code, problem.entry.status, int(problem.headers["Retry-After"]) >= 1) == (
        "render_share_exceeded",
        429,
        True,
    )
    assert "its share of the time" in problem.detail
    with lab.database.read() as session:
        (row,) = session.scalars(select(Notification))
    assert (str(row.uid), row.status, (row.problem or {})["code"]) == (
        refused.notification_id,
        NotificationStatus.FAILED.value,
        problem.code,
    )
    monkeypatch.undo()
    (again,) = accept_many([lab.submission(wild())], nothing)
    assert isinstance(again, Accepted)
    assert (again.notification_id, again.duplicate) == (refused.notification_id, False)


def test_a_batch_keeps_the_order_of_those_that_came_together(lab: Laboratory) -> None:
    loops = "{% for a in one.many %}{% for b in one.many %}{{ a }}{% endfor %}{% endfor %}"
    lab.template("X_EACH", "{% for one in fields %}" + loops + "{% endfor %}")
    batched = {"priority": "BATCH", "aggregator_id": "run", "template_id": "X_EACH"}
    many = [list(range(120)) if number % 3 == 0 else [number] for number in range(9)]
    bodies = [notification(fields={"number": number, "many": some}, **batched) for number, some in enumerate(many)]
    accept_many([lab.submission(notification(fields={"many": []}, **batched))], nothing)
    first = accept_group(entries(lab, *bodies), nothing)
    assert isinstance(first[0], Later)
    assert first[0].jobs
    assert first[1] == first[2] == Later()
    outcomes = accept_many([lab.submission(body) for body in bodies], nothing)
    assert [one for one in outcomes if not isinstance(one, Accepted)] == []
    wanted = [one.notification_id for one in outcomes if isinstance(one, Accepted)]
    with lab.database.read() as session:
        rows = session.execute(
            select(Notification.uid)
            .join(BatchMember, BatchMember.notification_id == Notification.id)
            .order_by(BatchMember.id)
        )
        found = [str(uid) for (uid,) in rows]
    assert [uid for uid in found if uid in wanted] == wanted


def large(lab: Laboratory, name: str, **changes: Any) -> dict[str, Any]:
    return notification(name, recipient=[f"X_BIG_{one}" for one in range(5)], **changes)


def test_large_ones_are_stored_one_at_a_time_and_keep_nothing_urgent_waiting(lab: Laboratory) -> None:
    known(lab)
    for one in range(5):
        lab.recipient(f"X_BIG_{one}", *(("EMAIL", f"{one}.{n}@lab.example") for n in range(250)))
    given = entries(lab, large(lab, "L-1"), large(lab, "L-2"), notification("S-1", priority="HIGH"))
    first, second, urgent = accept_group(given, nothing)
    assert isinstance(urgent, Accepted)
    assert (first, second) == (Later(), Later())
    first, second = accept_group(given[:2], nothing)
    assert isinstance(first, Accepted)
    assert second == Later()
    outcomes = accept_many([lab.submission(large(lab, f"M-{n}")) for n in range(3)], nothing)
    assert [one for one in outcomes if not isinstance(one, Accepted)] == []


def test_a_long_body_is_read_outside_of_the_group(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    known(lab)
    threads: list[str] = []
    read = admission.Entry.read

    def noted(entry: Entry) -> Any:
        threads.append(threading.current_thread().name)
        return read(entry)

    monkeypatch.setattr(admission.Entry, "read", noted)
    body = notification("long", fields={"sample_id": "x" * 40_000, "note": "n"})
    outcome = asyncio.run(Admission(nothing).submit(lab.submission(body)))
    assert isinstance(outcome, Accepted)
    assert threads[0].startswith("read")


def test_those_that_came_together_are_answered_in_their_order(lab: Laboratory) -> None:
    bodies: Sequence[object] = [wild("a"), b"{", notification("b"), wild("a"), notification(recipient=["X_NOBODY"])]
    given = [lab.submission(body) for body in bodies]

    async def story() -> list[IntakeResult]:
        return await Admission(nothing).submit_all(given)

    first, broken, plain, again, nobody = asyncio.run(story())
    assert isinstance(first, Accepted)
    assert isinstance(plain, Accepted)
    assert isinstance(again, Accepted)
    assert (first.notification_id, first.duplicate, again.duplicate) == (again.notification_id, False, True)
    assert isinstance(broken, Refused)
    assert isinstance(nobody, Refused)
    assert nobody.problem.code == "unknown_recipient"
    assert isinstance(given[0], Submission)
