"""The child process that reads bounces: mail comes from anybody, and reading some of it takes the library minutes."""

import msgspec

from backend.channels.base import ReceiptEvent
from backend.lib import child
from backend.receipts import bounces

_MEMORY = 512 * 1024 * 1024
_CPU_SECONDS = 5
# Holds one thing of every kind that is read, so that everything is loaded before no file can be opened any more.
_SAMPLE = b"""\
Date: Mon, 2 Mar 2026 09:00:07 +0000
Subject: =?iso-8859-1?q?=E9?= \xe9
X-Failed-Recipients: a@lab.example
Content-Type: multipart/report; report-type=delivery-status; boundary*=utf-8''b

--b
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Hi. This is the program at lab.example =E9
--b
Content-Type: text/plain
Content-Transfer-Encoding: base64

QUFB
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; lab.example

Final-Recipient: rfc822; a@lab.example
Action: failed
Status: 5.1.1
--b
Content-Type: message/feedback-report

Feedback-Type: abuse
--b
Content-Type: message/rfc822

Message-ID: <0b9d8f52-3c1e-5f0a-9d6e-4a7c51b2e803@lab.example>

--b--
"""


class Answer(msgspec.Struct, frozen=True):
    """The news in a bounce; ``readable`` is false for what is no mail."""

    events: list[ReceiptEvent] = []
    readable: bool = True


def answer(message: bytes) -> bytes:
    """Read one mail, and write an ``Answer`` as JSON."""
    try:
        return msgspec.json.encode(Answer(bounces.read(message)))
    except Exception:  # whatever the library stumbles over, it was no mail
        return msgspec.json.encode(Answer(readable=False))


def main() -> None:
    """Answer questions until nobody asks any more."""
    answer(_SAMPLE)
    child.serve_bytes(answer, memory=_MEMORY, cpu_seconds=_CPU_SECONDS)
