"""In how many parts a text message went is a figure of its delivery, not only words of an event."""

from typing import Any

from backend.channels.base import Channel, Message, Receipt
from tests.delivery.desk import Desk
from tests.delivery.doubles import Scripted


class Counting(Scripted):
    """Says in how many parts it sent a message."""

    def send(self, message: Message) -> Receipt:
        taken = super().send(message)
        return Receipt(taken.provider_message_id, taken.detail, segments=3)


def test_the_parts_of_a_text_message_are_told(desk: Desk) -> None:
    desk.lab.recipient("X_PHONE", ("SMS", "+447700900123"))
    desk.lab.template("X_TEXT", "{{ text }}", format="text")
    sms: dict[str, Any] = {
        "type": "SMS",
        "recipient": ["X_PHONE"],
        "template_id": "X_TEXT",
        "content_type": "text",
        "subject": None,
    }
    kept = desk.accept(fields={"text": "x" * 161}, **sms)
    mail = desk.accept("S-2")
    desk.drain()
    desk.use(Counting("one", channel=Channel.SMS))
    sent = desk.accept(fields={"text": "short"}, **sms)
    desk.drain()
    assert [desk.row(one).segments for one in (kept, mail, sent)] == [2, None, 3]
