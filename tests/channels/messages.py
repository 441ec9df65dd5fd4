"""Messages for the tests of this package."""

from typing import Any

from backend.channels.base import Channel, Message

DELIVERY_ID = "0191f0aa-7b2c-7def-8000-0123456789ab"


def message(**changes: Any) -> Message:
    """Return a small mail with text and HTML, with the given parts changed."""
    parts: dict[str, Any] = {
        "delivery_id": DELIVERY_ID,
        "channel": Channel.EMAIL,
        "address": "ann@lab.example",
        "sender": "Carillon <no-reply@carillon.example>",
        "subject": "Your run has finished",
        "text": "Hello Ann,\n\nplate DN123 is ready.\n",
        "html": "<p>Hello Ann,</p>\n<p>plate <b>DN123</b> is ready.</p>\n",
        "message_id": f"{DELIVERY_ID}@carillon.example",
    }
    return Message(**(parts | changes))
