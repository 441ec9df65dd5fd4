"""Every address of the application asked for with values that nobody expects, by everybody who may ask.

``python -m tests.security.fuzz --requests 6000 --seed 1`` walks as far as one likes; the suite walks a part of it.
"""

import argparse
import asyncio
import logging
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl, quote, quote_from_bytes, unquote, urlsplit

import msgspec
import pytest
from litestar import Litestar

from tests.factories import notification
from tests.portal.conftest import BASE_URL
from tests.security.addresses import UNSAFE, Address
from tests.security.hostile_values import Hostile

_BOUNDARY = "0boundary0"
_JSON = b"application/json"
_FORM = b"application/x-www-form-urlencoded"
_SLOT = "0place0"
_TEMPLATE = {"name": "Mine", "format": "html", "source": "<p>{{ fields.a }}</p>", "subject": "S", "batch": None}
_RECIPIENT = {"name": "Mine", "endpoints": [{"type": "EMAIL", "address": "eve@evil.example"}]}
_OWN = notification(recipient=["A_ALL"], template_id="A_SAMPLE")
# What the addresses that take JSON want, by the end of their path.
_BODIES: Mapping[str, object] = {
    "/notifications/v1": _OWN | {"priority": "BATCH", "aggregator_id": "run"},
    "/notifications/v1/bulk": {"notifications": [_OWN, _OWN]},
    "/notifications/v1/explain": _OWN,
    "/templates/{template_id:str}": _TEMPLATE | {"sample_fields": {"a": 1}, "batch": {"max_items": 3}},
    "/preview": {"fields": {"sample_id": "S-1"}, "version": 1},
    "/recipients/{recipient_id:str}": _RECIPIENT,
    "/callback": {"url": "https://lab.example/hook", "events": ["notification.sent"]},
    "/sms/notification": {"to": "+447700900123", "message": "text", "jobId": 1, "description": "some"},
    "/email/notification": {"to": "a@b.example", "from": "a@x.gov.uk", "subject": "s", "message": "m", "jobId": 1},
    "/job": {"name": "a name", "serviceId": 1, "filename": "a file.csv"},
    "/service": {"name": "a name", "userId": 1},
    "/users": {"emailAddress": "a@x.gov.uk", "mobileNumber": "+447700900123", "password": "a long password"},
    "/users/auth": {"emailAddress": "a@x.gov.uk", "password": "a long password"},
    "/add-user": {"emailAddress": "viewer@aurora.example"},
    "/remove-user": {"emailAddress": "viewer@aurora.example"},
    "/receipts/{kind:str}": [{"event": "delivered", "sg_event_id": "1", "timestamp": 1, "email": "a@b.example"}],
}
# Names that pages and guards read from the query by themselves.
_NAMES = (
    "before",
    "after",
    "cursor",
    "limit",
    "page",
    "q",
    "key",
    "latest",
    "from",
    "to",
    "job",
    "status",
    "row",
    "next",
)


@dataclass(frozen=True)
class Asker:
    """Somebody who asks: the headers that say who they are, and the token that their forms carry.

    ``beginnings`` are those of the paths that they have business with.
    """

    name: str
    headers: Mapping[str, str]
    beginnings: tuple[str, ...]
    token: str = ""


@dataclass(frozen=True)
class Asked:
    """One request."""

    asker: str
    method: str
    target: bytes
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    version: str = "1.1"

    def __str__(self) -> str:
        return f"{self.asker}: {self.method} {self.target.decode()[:200]} {self.body[:300]!r}"


@dataclass
class Walk:
    """What came of it: answers by status, and those that are faults of ours with their causes."""

    answers: Counter[int] = field(default_factory=Counter)
    paths: set[str] = field(default_factory=set)
    faults: dict[str, str] = field(default_factory=dict)


# The values of fields by their names, and those by the path that they are sent to.
Fields = dict[str, dict[str, set[str]]]


class _Fields(HTMLParser):
    """The names and values of a page's forms, by the path that each is sent to, and the queries of its links."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Fields = {}
        self._path = self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        for name in ("href", "action", "formaction", "hx-get", "hx-post"):
            if name in given:
                parts = urlsplit(given[name])
                for key, value in parse_qsl(parts.query):
                    self._note(parts.path, key, value)
                self._path = parts.path if tag == "form" else self._path
        if tag == "option":
            self._note(self._path, self._select, given.get("value", ""))
        elif tag in {"input", "select", "textarea", "button"} and given.get("name"):
            self._select = given["name"]
            self._note(self._path, given["name"], given.get("value", ""))

    def _note(self, path: str, name: str, value: str) -> None:
        self.found.setdefault(path, {}).setdefault(name, set()).add(value)


async def ask(app: Litestar, asked: Asked) -> tuple[int, dict[str, str], bytes]:
    """Send a request to the application as it comes from the wire, and read the whole answer."""
    path, _, query = asked.target.partition(b"?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": asked.version,
        "method": asked.method,
        "scheme": "http",
        "path": unquote(path.decode("ascii")),
        "raw_path": path,
        "root_path": "",
        "query_string": query,
        "headers": list(asked.headers),
        "client": ("203.0.113.9", 1),
        "server": ("testserver.local", 80),
        "state": {},
    }
    answered = asyncio.Event()
    parts: list[dict[str, Any]] = []
    pieces = [{"type": "http.request", "body": asked.body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if pieces:
            return pieces.pop()
        await answered.wait()  # the client stays until it has the whole answer
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        parts.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            answered.set()

    await app(scope, receive, send)  # type: ignore[arg-type] # as a server calls it
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in parts[0]["headers"]}
    return parts[0]["status"], headers, b"".join(part.get("body", b"") for part in parts[1:])


class Walker:
    """Goes from address to address; ``paths`` are those of the application with ids in them that there are."""

    def __init__(self, app: Litestar, askers: Sequence[Asker], paths: Mapping[Address, str], seed: int) -> None:
        self._app = app
        self._askers = askers
        self._paths = paths
        self._hostile = Hostile(seed)
        self._random = self._hostile.random
        self._fields: Fields = {}
        self.walk = Walk()

    async def learn(self) -> None:
        """Read the forms and links of every page, as whoever may do most in the portal sees them."""
        asker = next(one for one in self._askers if one.token)
        for address, path in self._paths.items():
            if address.method == "GET" and address.path.startswith("/portal"):
                headers = _headers(asker, ("host", "testserver.local"), ("accept", "text/html"))
                status, given, body = await ask(self._app, Asked(asker.name, "GET", path.encode(), headers, b""))
                if status == 200 and given.get("content-type", "").startswith("text/html"):
                    page = _Fields()
                    page.feed(body.decode())
                    for where, names in page.found.items():
                        for name, values in names.items():
                            self._fields.setdefault(where, {}).setdefault(name, set()).update(values)

    def _known(self, path: str) -> dict[str, str]:
        """Choose a value for each field that is known to be sent to a path."""
        fields = self._fields.get(path.partition("?")[0], {})
        return {name: self._random.choice(sorted(values)) for name, values in fields.items()}

    async def go(self, requests: int) -> None:
        """Make so many requests: to each address once, then twice more to those that take something in, and so on."""
        addresses = list(self._paths)
        self._random.shuffle(addresses)
        again = [one for one in self._paths if one.method in UNSAFE for _ in range(2)]
        self._random.shuffle(again)
        addresses += again
        for number in range(requests):
            address = addresses[number % len(addresses)]
            asked = self._request(address)
            cause = _Cause()
            try:
                with cause:
                    status, _, _ = await ask(self._app, asked)
            except Exception as error:
                status = 599
                cause.text = cause.text or repr(error)
            self.walk.answers[status] += 1
            self.walk.paths.add(str(address))
            if status >= 500:
                self.walk.faults[f"{status} {address} {asked}"] = cause.text

    def _request(self, address: Address) -> Asked:
        asker = self._asker(address)
        target = self._path(address)
        query = self._query(address)
        method = self._random.choice(("HEAD", "OPTIONS", "POST", "GET")) if self._chance(0.03) else address.method
        content_type, body = self._body(address, asker) if address.method in UNSAFE else (b"", b"")
        headers = _headers(asker, ("host", "testserver.local"), ("accept", "text/html, application/json"))
        if content_type:
            headers += [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
        if address.method in UNSAFE:
            headers.append((b"origin", BASE_URL.encode()))
        if self._chance(0.15):
            name, value = self._hostile.header()
            headers = [one for one in headers if one[0] != name or self._chance(0.3)] + [(name, value)]
        return Asked(asker.name, method, target + (b"?" + query if query else b""), headers, body)

    def _asker(self, address: Address) -> Asker:
        """Choose somebody who has business there, as a rule."""
        fit = [one for one in self._askers if address.path.startswith(one.beginnings)]
        return self._random.choice(fit if fit and self._chance(0.85) else self._askers)

    def _chance(self, part: float) -> bool:
        return self._random.random() < part

    def _path(self, address: Address) -> bytes:
        """Write the path, often with a value in the place of an id."""
        path = quote(self._paths[address].partition("?")[0], safe="/%@:")
        names = sorted(address.parameters)
        if not names or self._chance(0.7):
            return path.encode()
        name = self._random.choice(names)
        parts = address.path.split("/")
        pieces = path.split("/")
        where = next(position for position, one in enumerate(parts) if one.startswith(f"{{{name}:"))
        value = self._hostile.number() if ":int}" in parts[where] and self._chance(0.7) else self._hostile.value()
        pieces[where] = quote_from_bytes(value[:9000], safe="")
        return "/".join(pieces).encode()

    def _query(self, address: Address) -> bytes:
        """Write a query: names that the address knows, or no address does, mostly with values that it does not."""
        known = dict(parse_qsl(self._paths[address].partition("?")[2]))
        known |= self._known(self._paths[address]) if address.method == "GET" else {}
        names = [*known, *_own_names(address), *address.handler.opt.get("query", ()), *_NAMES]
        pairs = [(name.encode(), value.encode()) for name, value in known.items() if value and self._chance(0.4)]
        if address.method == "GET" or self._chance(0.2):
            for _ in range(self._random.choice((0, 1, 1, 1, 2, 3))):
                name = self._random.choice(names).encode() if self._chance(0.95) else self._hostile.value()
                pairs.append((name, self._hostile.value()))
        return b"&".join(b"=".join(quote_from_bytes(part[:9000], safe="").encode() for part in pair) for pair in pairs)

    def _body(self, address: Address, asker: Asker) -> tuple[bytes, bytes]:
        if not address.path.startswith("/portal") and not address.path.startswith("/oauth"):
            ending = next((end for end in sorted(_BODIES, key=len) if address.path.endswith(end)), "")
            return _JSON, self._hostile.json(_BODIES.get(ending))
        fields = self._form(address, asker)
        if address.path.endswith(("/upload", "/jobs", "/csv", "/import")) or self._chance(0.1):
            return self._multipart(fields)
        pairs = [f"{quote(name)}=".encode() + quote_from_bytes(value, safe="").encode() for name, value in fields]
        return _FORM, b"&".join(pairs)

    def _form(self, address: Address, asker: Asker) -> list[tuple[str, bytes]]:
        """Fill a form in: as the page has it, and some of its fields with what they do not want."""
        known = self._known(self._paths[address])
        names = list(dict.fromkeys([*known, *_form_names(address)])) or ["name"]
        values = {name: known.get(name, "").encode() for name in names if self._chance(0.85)}
        for name in self._random.sample(names, min(len(names), self._random.choice((1, 1, 2, 4)))):
            values[name] = self._hostile.value()
        values["_csrf_token"] = asker.token.encode() if self._chance(0.97) else self._hostile.value()
        fields = list(values.items())
        if self._chance(0.1):
            fields.append((self._random.choice(names), self._hostile.value()))
        if self._chance(0.05):
            fields.append(("\x00", b"1"))
        return fields

    def _multipart(self, fields: Sequence[tuple[str, bytes]]) -> tuple[bytes, bytes]:
        name = self._random.choice(
            ('"a.csv"', '"a.html"', '"\x00.csv"', '"../../a.csv"', '""', '"é\xff"', "a", '"' + "n" * 400)
        )
        kind = self._random.choice(
            ("text/csv", "text/html", "application/octet-stream", "\x00", "text/csv; charset=utf-16")
        )
        file = f'Content-Disposition: form-data; name="file"; filename={name}\r\nContent-Type: {kind}\r\n\r\n'
        parts = [f'Content-Disposition: form-data; name="{key}"\r\n\r\n'.encode() + value for key, value in fields]
        parts.append(file.encode("latin-1", "replace") + self._hostile.file())
        edge = f"--{_BOUNDARY}".encode()
        body = b"".join(edge + b"\r\n" + part + b"\r\n" for part in parts) + edge + b"--\r\n"
        if self._chance(0.15):
            body = body[: self._random.randrange(len(body))]
        return f"multipart/form-data; boundary={_BOUNDARY}".encode(), body


class _Cause(logging.Handler):
    """Keeps what is logged as the cause of a failed request."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.text = logging.Formatter().formatException(record.exc_info)

    def __enter__(self) -> None:
        logging.getLogger("backend").addHandler(self)

    def __exit__(self, *_: object) -> None:
        logging.getLogger("backend").removeHandler(self)


def _headers(asker: Asker, *more: tuple[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in (*asker.headers.items(), *more)]


def _own_names(address: Address) -> list[str]:
    """Name what the handler declares, which the framework takes from the query."""
    return [name for name in address.handler.parsed_fn_signature.parameters if name not in {"request", "data"}]


def _form_names(address: Address) -> list[str]:
    data = address.handler.parsed_fn_signature.parameters.get("data")
    for one in (data, *(data.inner_types if data else ())):
        if one and isinstance(one.annotation, type) and issubclass(one.annotation, msgspec.Struct):
            return list(one.annotation.__struct_fields__)
    return []


def main() -> int:
    """Walk as far as the command line says."""
    reading = argparse.ArgumentParser(description=__doc__)
    reading.add_argument("--requests", type=int, default=6000)
    reading.add_argument("--seed", type=int, default=1)
    given = reading.parse_args()
    os.environ |= {"FUZZ_REQUESTS": str(given.requests), "FUZZ_SEED": str(given.seed)}
    return int(pytest.main(["-q", "-s", "-p", "no:cacheprovider", "tests/security/test_fuzz_walk.py"]))


if __name__ == "__main__":
    sys.exit(main())
