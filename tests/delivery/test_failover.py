"""Every attempt is told, also the one at a provider that could not take the message before the next one did."""

import pytest

from backend.channels.base import ProviderError
from tests.delivery.desk import Desk
from tests.delivery.doubles import ManyAtOnce, Scripted, down, misconfigured, throttled


def attempts(desk: Desk, notification_id: str) -> list[str]:
    """Return what is told of attempts, without the address."""
    told = [what.replace(" lab@lab.example", "") for what in desk.told(notification_id)]
    return [what for what in told if "attempt" in what]


@pytest.mark.parametrize("kind", [Scripted, ManyAtOnce])
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (down("connection refused"), "Not sent to by one (attempt 1), to be tried again: connection refused"),
        (throttled(), "Held back for by one (attempt 1): 429 slow down"),
        (misconfigured(), "Not sent to because one is set up wrongly (attempt 1): 535 wrong password"),
    ],
)
def test_an_attempt_that_went_on_to_the_next_provider_is_told(
    desk: Desk, kind: type[Scripted], fault: ProviderError, words: str
) -> None:
    one, two = kind("one", answers=[fault]), Scripted("two")
    desk.use(one, two)
    sent = [desk.accept(f"S-{number}") for number in range(2)]
    desk.drain()
    assert [desk.status(each) for each in sent] == ["SENT", "SENT"]
    assert attempts(desk, sent[0]) == [words, "Sent to by two (attempt 1): taken"]
    assert attempts(desk, sent[1])[-1] == "Sent to by two (attempt 1): taken"
    assert desk.row(sent[0]).attempts == 1
    assert len(two.taken) == 2


def test_attempts_that_all_failed_are_told_in_their_order(desk: Desk) -> None:
    one, two = Scripted("one", answers=[down("no route")]), Scripted("two", answers=[down("no answer"), None])
    desk.use(one, two)
    sent = desk.accept()
    desk.drain()
    first = [
        "Not sent to by one (attempt 1), to be tried again: no route",
        "Not sent to by two (attempt 1), to be tried again: no answer",
    ]
    assert attempts(desk, sent) == first
    assert (desk.row(sent).provider, desk.row(sent).error) == ("two", "no answer")
    one.answers = [None]
    desk.clock.forward(minutes=2)
    desk.drain()
    assert [what.partition(" by ")[2][:3] for what in attempts(desk, sent)[:2]] == ["one", "two"]
    assert attempts(desk, sent)[2].endswith("(attempt 2): taken")


def test_a_single_attempt_is_told_once(desk: Desk) -> None:
    desk.use(Scripted("one"))
    sent = desk.accept()
    desk.drain()
    assert attempts(desk, sent) == ["Sent to by one (attempt 1): taken"]
