"""Requests of every kind to every documented operation: as they should be, spoilt in one place, or of hostile bytes."""

import copy
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from httpx import Client, Request, Response

from backend.accounts.clients import NewClient
from tests.factories import notification
from tests.rendering.hostile import CONTAINED, REFUSED

_WORDS = (
    *("", " ", "0", "-1", "1e999", "null", "true", "X_LAB", "x" * 300, "é東\u202e\u200b", "a\x00b", "a\r\nX: y", "%00"),
    *("../../etc/passwd", "..%2f..%2f", "' OR 1=1 --", "<script>alert(1)</script>", "{{ 7 * 7 }}", "\ufffe", "9" * 400),
    *("2026-03-02T09:00:00Z", "0000-00-00", "00000000-0000-0000-0000-000000000000", "eyJhIjoxfQ", "NaN", "\\", "[]"),
)
_VALUES: tuple[Any, ...] = (
    *_WORDS,
    *(None, True, 0, -1, 1.5, 10**30, 1e308, [], {}, [[]], {"": {}}, ["X_LAB"] * 200, {"a": "x" * 3000}),
    *({"type": "EMAIL"}, [None], "x" * 70_000),
)
_BYTES = (
    *(b"", b" ", b"\0", b"{", b"[" * 50_000, b'{"a":' * 20_000, b"\xff\xfe{}", b'{"a": 1, "a": 2}', b"NaN", b"null"),
    *(b'{"channels": [,]}', b'"\\ud800"', b'{"channels": 1e9999}', b"x" * 200_000, b"a=b&a=b&" * 5000, b"<xml/>"),
)
_KINDS = ("application/json", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", "")


@dataclass(frozen=True)
class Asked:
    """A request, and the statuses that the document names for its operation."""

    operation: str
    method: str
    target: str
    headers: dict[str, str]
    body: bytes | None
    named: frozenset[str] = field(repr=False)

    def __str__(self) -> str:
        return f"{self.method} {self.target[:200]} {self.headers.get('Content-Type')} {(self.body or b'')[:200]!r}"

    def names(self, status: int) -> bool:
        """Tell whether the document names a status."""
        return str(status) in self.named

    def request(self, http: Client) -> Request:
        """Make the request itself; its target goes out as it is."""
        made = http.build_request(self.method, "/", content=self.body, headers=self.headers)
        made.url = made.url.copy_with(raw_path=self.target.encode())
        return made


class Mix:
    """An endless row of requests, the same for the same seed but for the identifiers that answers bring."""

    def __init__(self, seed: int, document: dict[str, Any], client: NewClient, issue: Callable[[], str]) -> None:
        self._random = random.Random(seed)
        self._client, self._issue, self._token, self._made = client, issue, issue(), 0
        self._operations = [
            (path, method, operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
            if isinstance(operation, dict)
        ]
        self._identifiers: list[str] = ["00000000-0000-4000-8000-000000000000"]

    def next(self) -> Asked:
        """Return the next request."""
        self._made += 1
        if self._made % 500 == 0:  # tokens last ten minutes
            self._token = self._issue()
        path, method, operation = self._random.choice(self._operations)
        kind, body = self._body(path, method)
        headers = dict(self._headers(kind))
        query = self._query(operation)
        target = self._filled(path) + (f"?{query}" if query else "")
        named = frozenset(operation["responses"]) - {"default"}
        if "%2F" in target.partition("?")[0]:  # the path of something else
            named |= {"404", "405"}
        return Asked(f"{method.upper()} {path}", method.upper(), target, headers, body, named)

    def learn(self, answer: Response) -> None:
        """Keep the identifier of a notification, for it to be asked for."""
        if answer.status_code == 202 and len(answer.content) < 2000:
            self._identifiers = [*self._identifiers[-50:], answer.json().get("notification_id", "x")]

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _headers(self, kind: str) -> Iterator[tuple[str, str]]:
        if kind:
            yield "Content-Type", kind if self._chance(0.95) else self._random.choice(_KINDS)
        luck = self._random.random()
        if luck < 0.85:
            yield "Authorization", f"Bearer {self._token}"
        elif luck < 0.95:
            spoilt = (f"Bearer {self._token[:-4]}AAAA", "Bearer", "Basic eDp5", f"bearer  {'x' * 5000}", "Digest x")
            yield "Authorization", self._random.choice(spoilt)
        if self._chance(0.03):
            yield self._random.choice(("X-Request-ID", "Accept", "Traceparent", "Cookie", "Origin")), "x" * 4000

    def _filled(self, path: str) -> str:
        pieces = []
        for piece in path.split("/"):
            if not piece.startswith("{"):
                pieces.append(piece)
            elif self._chance(0.75):
                pieces.append(quote(self._known(piece.strip("{}")), safe=""))
            else:
                pieces.append(quote(self._random.choice(_WORDS).encode("utf-8", "surrogatepass"), safe="") or "%20")
        return "/".join(pieces)

    def _known(self, name: str) -> str:
        match name:
            case "notification_id":
                return self._random.choice(self._identifiers)
            case "recipient_id":
                return self._random.choice(("X_LAB", "X_LAB", "X_ONE", "X_TWO"))
            case "template_id":
                return self._random.choice(("X_SAMPLE", "X_SAMPLE", "X_ONE", "X_TWO"))
            case "aggregator_id":
                return f"run-{self._random.randrange(5)}"
            case _:
                return str(self._random.randrange(1, 5))

    def _query(self, operation: dict[str, Any]) -> str:
        names = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]
        chosen = [(name, self._random.choice(_WORDS)) for name in names if self._chance(0.15)]
        if self._chance(0.02):
            chosen.append(("unknown", "x"))
        return urlencode(chosen, errors="replace")

    def _body(self, path: str, method: str) -> tuple[str, bytes | None]:
        if method not in {"post", "put", "patch"}:
            return "", None
        if self._chance(0.08):
            return "application/json", self._random.choice(_BYTES)
        if path.startswith("/oauth/"):
            return "application/x-www-form-urlencoded", urlencode(self._form(), errors="replace").encode()
        body = self._valid(path)
        if self._chance(0.45):
            body = self._spoilt(body)
        return "application/json", json.dumps(body).encode()

    def _form(self) -> dict[str, str]:
        form = {"grant_type": "client_credentials", "token": self._issue()}
        form |= {"client_id": self._client.client_id, "client_secret": self._client.client_secret}
        if self._chance(0.6):
            form[self._random.choice([*form, "scope"])] = self._random.choice(_WORDS)
        return form

    def _valid(self, path: str) -> Any:
        match path.rstrip("/").rpartition("/")[2]:
            case "bulk":
                return {"notifications": [self._notification() for _ in range(3)]}
            case "preview":
                return {"fields": {"sample_id": "S-1"}}
            case "{recipient_id}":
                return {"name": "Lab", "endpoints": [{"type": "EMAIL", "address": "lab@lab.example"}]}
            case "{template_id}":
                source = "<p>{{ fields.sample_id }}</p>"
                if self._chance(0.03):
                    source = self._random.choice([*REFUSED.values(), *CONTAINED.values()])
                return {"name": "Sample", "format": "html", "source": source, "subject": "S"}
            case "callback":
                return {"url": f"https://lims.lab.example/{self._random.randrange(9)}"}
            case _:
                return self._notification()

    def _notification(self) -> dict[str, Any]:
        sample = f"S-{self._random.randrange(10**6)}"
        if self._chance(0.2):
            return notification(sample, priority="BATCH", aggregator_id=f"run-{self._random.randrange(5)}")
        return notification(sample, priority=self._random.choice(("NORMAL", "HIGH")))

    def _spoilt(self, body: Any) -> Any:
        """Put a hostile value in one place of a body, or take the place away."""
        spoilt = copy.deepcopy(body)
        part = spoilt
        while isinstance(part, (dict, list)) and part:
            key: Any = self._random.choice(list(part) if isinstance(part, dict) else range(len(part)))
            if not isinstance(part[key], (dict, list)) or not part[key] or self._chance(0.4):
                if self._chance(0.2):
                    del part[key]
                elif isinstance(part, dict) and self._chance(0.2):
                    part[self._random.choice(_WORDS)] = self._random.choice(_VALUES)
                else:
                    part[key] = self._random.choice(_VALUES)
                break
            part = part[key]
        return spoilt
