"""A share of the schedules, and the proof that the simulator finds what it is for."""

from collections.abc import Iterator

import pytest

from backend.db.leases import Lease
from backend.delivery.outcomes import record
from tests.simulator.schedule import Stage
from tests.simulator.stage import prepared

_FIRST, _SHARE = 1, 12
# Schedules in which the broken promise is seen; drawn anew if what is drawn from a number changes.
_LOOKED_THROUGH = 60


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with prepared(tmp_path_factory.mktemp("simulated")) as made:
        yield made


def broken(stage: Stage, words: str) -> bool:
    """Tell whether one of the schedules breaks a promise in these words."""
    return any(words in fault for number in range(1, _LOOKED_THROUGH) for fault in stage.play(number).faults)


def test_nothing_is_lost_and_nothing_goes_twice_that_cannot_be_explained(stage: Stage) -> None:
    found = [stage.play(number) for number in range(_FIRST, _FIRST + _SHARE)]
    assert [one for one in found if one.faults] == []
    assert sum(one.incidents for one in found) >= _SHARE


def test_a_schedule_is_the_same_whenever_its_number_is_drawn(stage: Stage) -> None:
    assert stage.play(3) == stage.play(3)


def test_without_the_fence_mail_goes_twice(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lease, "confirm", lambda _lease, _token: None)
    assert broken(stage, "EMAIL")


def test_without_the_note_that_it_was_begun_a_text_message_goes_twice(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "begin", lambda *_given: True)
    assert broken(stage, "was sent 2 times")
