"""The id that ties together what one request causes: taken from the caller or made here, answered, and logged.

It lives as long as the request. What happens to a notification afterwards, in other processes and maybe hours later,
is tied together by the ids of the notification and its deliveries, which the request's own line in the log names.
"""

import random
import re
from contextvars import ContextVar

_GIVEN = re.compile(r"[A-Za-z0-9._:-]{1,64}")
# W3C Trace Context: version, trace id, parent id, flags; an id of zeros is not one.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


def choose(given: bytes | None, traceparent: bytes | None) -> str:
    """Return the id of a request: its ``X-Request-ID``, else the trace id of its ``traceparent``, else a new one.

    What is not made of up to 64 letters, digits, ``.``, ``_``, ``:`` and ``-`` is not taken over.
    """
    if given is not None and (text := given.decode("latin-1")) and _GIVEN.fullmatch(text):
        return text
    if traceparent is not None and (found := _TRACEPARENT.fullmatch(traceparent.decode("latin-1"))):
        return found[1]
    return f"{random.getrandbits(128):032x}"
