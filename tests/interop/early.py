"""Requests that are answered before their body is read: which statuses, at which addresses."""

import http.client
from collections.abc import Iterable
from typing import NamedTuple

from tests.interop.site import SENDING, Site

KILO, MEGA = 1_000, 1_000_000


class Refusal(NamedTuple):
    """A request whose head says enough to refuse it."""

    status: int
    path: str
    headers: dict[str, str]


def refusals(site: Site) -> list[Refusal]:
    """List one request for each status that comes early whatever the size of the body."""
    json, mine = {"Content-Type": "application/json"}, {"Authorization": f"Bearer {site.token}"}
    return [
        Refusal(401, SENDING, json),
        Refusal(403, SENDING, json | {"Authorization": f"Bearer {site.weak_token}"}),
        Refusal(404, "/nowhere", json),
        Refusal(405, "/healthz", json),
        Refusal(413, SENDING, json | mine),
        Refusal(415, SENDING, {"Content-Type": "text/plain"} | mine),
    ]


def lost(port: int, asked: Iterable[Refusal], sizes: Iterable[int], *, connection: str | None) -> list[str]:
    """Send each with a body of each size; say which got another answer, or none."""
    wrong: list[str] = []
    for size in sizes:
        body = b"a" * size
        for refusal in asked:
            if refusal.status == 413 and size <= 2**20:
                continue
            headers = refusal.headers | ({"Connection": connection} if connection else {})
            line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            try:
                line.request("POST", refusal.path, body, headers)
                got: object = line.getresponse().status
            except (OSError, http.client.HTTPException) as error:
                got = type(error).__name__
            finally:
                line.close()
            if got != refusal.status:
                wrong.append(f"{refusal.status} for {size} bytes at {refusal.path} became {got}")
    return wrong
