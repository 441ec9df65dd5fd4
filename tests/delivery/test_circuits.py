"""How a provider's health opens its circuit and moves its weight, for all workers."""

from collections.abc import Sequence

import pytest

from backend.channels.base import Channel
from backend.delivery.providers import health
from backend.delivery.sending.send import Sender
from tests.delivery.desk import Desk
from tests.delivery.doubles import (
    Scripted,
    down,
)


def opened(providers_given: Sequence[Scripted], desk: Desk, messages: int = 12) -> None:
    """Let the first provider fail until its circuit opens."""
    desk.use(*providers_given)
    for number in range(messages):
        desk.accept(f"failing-{number}")
        desk.drain()


def test_the_circuit_of_a_provider_opens_and_closes_for_all_workers(desk: Desk) -> None:
    first, second = Scripted("first", answers=[down()]), Scripted("second")
    opened([first, second], desk)
    assert first.tries == 5, "then it is left alone"
    assert len(second.taken) == 12
    report = desk.providers()["first"]
    assert (report.circuit, report.weight, report.last_fault) == ("open", 0.0, "cannot connect")
    desk.clock.forward(seconds=31)
    assert desk.providers()["first"].circuit == "half-open"
    for number in range(5):
        desk.accept(f"while-{number}")
    other = Sender("worker-two")
    assert other.send_some() == 1, "one message is tried"
    assert desk.drain() == 4
    assert (first.tries, len(second.taken)) == (6, 17)
    desk.clock.forward(seconds=31)
    assert desk.drain() == 0
    desk.accept("soon")
    desk.drain()
    assert first.tries == 6, "each time it is left alone for longer"
    first.answers = [None]
    desk.clock.forward(seconds=31)
    desk.accept("back")
    desk.drain()
    assert (first.tries, len(first.taken)) == (7, 1)
    assert desk.providers()["first"].circuit == "closed"


def test_a_circuit_without_another_provider_keeps_the_work_waiting(desk: Desk) -> None:
    only = Scripted("only", answers=[down()])
    opened([only], desk, messages=8)
    assert only.tries == 5
    later = desk.accept("later")
    assert desk.drain() == 0
    assert (desk.row(later).attempts, desk.row(later).status) == (0, "QUEUED")
    only.answers = [None]
    desk.clock.forward(seconds=120)
    desk.drain()
    assert len(only.taken) == 9


def test_weight_moves_away_from_a_sick_provider_and_back(desk: Desk) -> None:
    first, second = Scripted("first"), Scripted("second")
    desk.use(first, second)
    for number in range(40):
        first.answers = [down() if number % 3 == 0 else None]
        desk.accept(f"S-{number}")
        desk.drain()
        desk.providers()  # written down
        health.recent.clear()
    found = desk.providers()
    assert found["first"].weight < 0.8
    assert found["first"].weight + found["second"].weight == pytest.approx(1)
    assert len(second.taken) > 12, "more than what the first could not take"
    first.answers = [None]
    desk.clock.forward(minutes=6)
    health.recent.clear()
    assert desk.providers()["first"].weight == 1
    before = len(first.taken)
    for number in range(5):
        desk.accept(f"well-{number}")
    desk.drain()
    assert len(first.taken) == before + 5


def test_health_costs_no_write_while_all_is_well(desk: Desk) -> None:
    desk.use(Scripted("mail"))
    for number in range(3):
        desk.accept(f"S-{number}")
        desk.drain()
    with desk.lab.database.read() as session:
        assert health.read(session, Channel.EMAIL).providers == {}
        assert health.since(session, health.WINDOW)["mail"].answered == 1, "and its minutes every few seconds only"
    assert desk.providers()["mail"].attempts == 3
