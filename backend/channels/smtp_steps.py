"""The steps of an SMTP session, at each of which a server can refuse."""

import enum


class Step(enum.StrEnum):
    """A step; the value says what failed, for readers."""

    GREETING = "the greeting"
    HELLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "signing in"
    MAIL = "the sender"
    RCPT = "the recipient"
    DATA = "DATA"
    BODY = "sending the content"
    CONTENT = "the answer to the content"


# Before MAIL nothing concerns one message: what fails there fails for every message on this way.
SESSION_STEPS = frozenset({Step.GREETING, Step.HELLO, Step.STARTTLS, Step.AUTH})
