"""Joining a batch that has to be rendered whole: no group waits for that, and nobody joins what would not render."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from backend.db.database import Database
from backend.intake import content, joined
from backend.intake.accept import Accepted, IntakeResult, Refused, accept_group, accept_many
from backend.intake.admission import Admission
from backend.intake.entries import Done, Entry, Joint, Later
from backend.intake.explain import explain
from backend.rendering import acceptance
from tests.factories import Laboratory, laboratory, notification

# Renders three members, and no more.
THREE = (
    "{% set ns = namespace(n=0) %}{% for one in fields %}{% set ns.n = ns.n + 1 %}{% endfor %}"
    "{% if ns.n > 3 %}{{ fields[0].missing }}{% endif %}"
)
FIRST = "{{ fields[0].number }}{% for one in fields %}{{ one.number }}{% endfor %}"


@pytest.fixture
def lab(database: Database) -> Laboratory:
    made = laboratory(database)
    made.template("X_THREE", THREE)
    made.template("X_FIRST", FIRST)
    return made


def nothing(_new: object) -> None:
    return None


def body(number: int, template: str = "X_THREE", fields: dict[str, Any] | None = None) -> dict[str, Any]:
    given = {"number": number} if fields is None else fields
    return notification(template_id=template, priority="BATCH", aggregator_id="run", fields=given)


def entry(lab: Laboratory, number: int, template: str = "X_THREE") -> Entry:
    return Entry(submission=lab.submission(body(number, template)), caller=object())


def rendered(one: Entry, late: Any) -> None:
    """Do what a notification waits for."""
    assert isinstance(late, Later)
    assert late.jobs
    one.done = one.done | {
        position: Done(job, acceptance.render(job, one.share)) for position, job in late.jobs.items()
    }


def waiting(late: Any) -> Joint:
    """Return the batch that a notification waits for."""
    assert isinstance(late, Later)
    (job,) = late.jobs.values()
    assert isinstance(job, Joint)
    return job


def begun(lab: Laboratory, template: str = "X_THREE") -> None:
    (outcome,) = accept_many([lab.submission(body(0, template))], nothing)
    assert isinstance(outcome, Accepted)


def ready(lab: Laboratory, *entries: Entry) -> None:
    """Have each tried alone, so that its batch is all that it waits for."""
    for one, late in zip(entries, accept_group(entries, nothing), strict=True):
        rendered(one, late)


def test_a_group_waits_for_no_batch_and_those_that_come_together_are_tried_in_their_order(lab: Laboratory) -> None:
    begun(lab)
    first, second = entry(lab, 1), entry(lab, 2)
    ready(lab, first, second)
    one, two = accept_group([first, second], nothing)
    assert waiting(one).before == ()
    assert waiting(two).before == (first.read().uid,)
    rendered(first, one)
    rendered(second, two)
    outcomes = accept_group([first, second], nothing)
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)


def test_who_was_tried_with_another_that_has_not_joined_is_tried_again(lab: Laboratory) -> None:
    begun(lab)
    first, second = entry(lab, 1), entry(lab, 2)
    ready(lab, first, second)
    for one, late in zip((first, second), accept_group([first, second], nothing), strict=True):
        rendered(one, late)
    (alone,) = accept_group([second], nothing)
    assert waiting(alone).before == ()
    rendered(second, alone)
    (outcome,) = accept_group([second], nothing)
    assert isinstance(outcome, Accepted)
    (again,) = accept_group([first], nothing)
    assert waiting(again).members == 2


def test_of_those_that_come_at_once_as_many_join_as_render_together(lab: Laboratory) -> None:
    async def story() -> list[IntakeResult]:
        way = Admission(nothing)
        return list(await asyncio.gather(*(way.submit(lab.submission(body(number))) for number in range(9))))

    outcomes = asyncio.run(asyncio.wait_for(story(), 60))
    assert sum(isinstance(one, Accepted) for one in outcomes) == 3
    for one in outcomes:
        if isinstance(one, Refused):
            assert one.problem.code == "template_arguments"
            assert "does not render the batch that this notification would join" in one.problem.detail
            assert UUID(one.notification_id or "")


def test_a_batch_that_is_quick_is_tried_in_the_group(lab: Laboratory) -> None:
    begun(lab, "X_FIRST")
    outcomes = accept_group([entry(lab, number, "X_FIRST") for number in range(1, 5)], nothing)
    assert all(isinstance(one, Accepted) for one in outcomes)


def test_long_members_are_read_outside_of_the_group(lab: Laboratory) -> None:
    long = body(0, "X_FIRST", {"number": "x" * 5_000})
    (outcome,) = accept_many([lab.submission(long)], nothing)
    assert isinstance(outcome, Accepted)
    late = entry(lab, 1, "X_FIRST")
    (found,) = accept_group([late], nothing)
    assert waiting(found).members == 1
    rendered(late, found)
    (outcome,) = accept_group([late], nothing)
    assert isinstance(outcome, Accepted)


@pytest.mark.parametrize(
    ("members", "tried"),
    [(1, 1), (128, 128), (129, 128), (255, 128), (256, 256), (300, 128), (4096, 4096), (8192, 128)],
)
def test_a_large_batch_is_tried_whole_each_time_that_it_has_doubled(members: int, tried: int) -> None:
    assert joined._most(members) == tried


def test_what_is_explained_is_tried_with_the_batch_that_it_would_join(lab: Laboratory) -> None:
    for number in range(4):
        told = explain(content.read(lab.submission(body(number))))
        (outcome,) = accept_many([lab.submission(body(number))], nothing)
        if number < 3:
            assert (told.would, told.errors) == ("BUFFER", [])
            assert told.batch is not None
            assert told.batch.members == number + 1
            assert isinstance(outcome, Accepted)
        else:
            assert isinstance(outcome, Refused)
            assert (told.would, told.errors) == ("FAIL", list(outcome.problem.errors))
            assert "does not render the batch that this notification would join" in told.errors[0].detail
    assert explain(content.read(lab.submission(body(0)))).would == "DUPLICATE"
    other = body(9) | {"aggregator_id": "another"}
    assert explain(content.read(lab.submission(other))).would == "BUFFER"
