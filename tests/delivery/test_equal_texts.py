"""A text that went to a number a moment ago waits, where the provider's networks would refuse it."""

from typing import Any

import pytest

from backend.channels.base import Channel
from backend.channels.sms_twilio import TwilioProvider
from backend.delivery.outcomes.waits import of_delivery
from backend.scheduling import tasks
from tests.conftest import MovableClock
from tests.delivery.desk import Desk
from tests.delivery.doubles import Scripted

SMS: dict[str, Any] = {
    "type": "SMS",
    "recipient": ["X_PHONE"],
    "template_id": "X_TEXT",
    "content_type": "text",
    "subject": None,
}


class Strict(Scripted):
    """A provider whose networks take no equal text within ten minutes."""

    equal_within = 600


def test_an_equal_text_to_one_number_waits_its_time(desk: Desk, moving_clock: MovableClock) -> None:
    desk.lab.recipient("X_PHONE", ("SMS", "+447700900123"))
    desk.lab.recipient("X_OTHER", ("SMS", "+447700900124"))
    desk.lab.template("X_TEXT", "{{ text }}", format="text")
    strict = Strict("one", channel=Channel.SMS)
    desk.use(strict)
    first = desk.accept("1", fields={"text": "Warm.", "n": 1}, **SMS)
    equal = [desk.accept(str(number), fields={"text": "Warm.", "n": number}, **SMS) for number in (2, 3)]
    other = [
        desk.accept("4", fields={"text": "Cold."}, **SMS),
        desk.accept("5", fields={"text": "Warm."}, **(SMS | {"recipient": ["X_OTHER"]})),
    ]
    desk.drain()
    assert [desk.row(one).status for one in (first, *equal, *other)] == [
        "SENT",
        "SCHEDULED",
        "SCHEDULED",
        "SENT",
        "SENT",
    ]
    wait = of_delivery(desk.row(equal[0]))
    assert wait is not None
    assert (wait.code, wait.detail) == ("equal_text", "The same text went to this number less than 10 minutes ago.")
    moments = []
    for _ in range(3):
        moving_clock.forward(minutes=10, seconds=1)
        tasks.end_waits.run()
        desk.drain()
        moments.append([desk.row(one).status for one in equal].count("SENT"))
    assert moments == [1, 2, 2]


def test_how_long_is_said_in_the_providers_address() -> None:
    address = "twilio://AC1:secret@api.twilio.com?from=%2B447700900123"
    assert [TwilioProvider(address + more).equal_within for more in ("", "&equal_within=60")] == [0, 60]
    for wrong in ("x", "-1", "86401"):
        with pytest.raises(ValueError, match="equal_within"):
            TwilioProvider(f"{address}&equal_within={wrong}")
