"""Freshservice's tickets (API v2), by its published reference: making, reading, filtering by tag, notes."""

import json
import re
from base64 import b64decode
from typing import Any
from urllib.parse import parse_qs, quote

from tests.vendors.http_server import Refusal, Reply, Seen, VendorServer

KEY = "hunter2/:@ %"
_FIELDS = {
    *("email", "subject", "description", "status", "priority", "source", "tags", "type", "group_id", "responder_id"),
    *("attachments", "department_id", "category", "sub_category", "item_category", "urgency", "impact", "workspace_id"),
}
_NUMBERS = {"status", "priority", "source", "group_id", "responder_id", "department_id", "workspace_id"}


def _members(seen: Seen) -> dict[str, Any]:
    """Read what came as JSON, or as the form that carries files: there every value is a text."""
    kind = seen.headers.get("content-type", "")
    if not kind.startswith("multipart/form-data"):
        found: dict[str, Any] = seen.json()
        return found
    boundary = b"--" + kind.partition("boundary=")[2].encode()
    first, *pieces, last = seen.body.split(boundary)
    assert (first, last) == (b"", b"--\r\n")
    members: dict[str, Any] = {}
    for piece in pieces:
        head, _, content = piece.removeprefix(b"\r\n").removesuffix(b"\r\n").partition(b"\r\n\r\n")
        told = dict(re.findall(r'(\w+)="([^"]*)"', head.decode()))
        value: Any
        if "filename" in told:
            kind = head.decode().partition("Content-Type: ")[2]
            value = {"name": told["filename"], "content_type": kind, "size": len(content)}
        elif told["name"] in _NUMBERS:
            value = int(content)
        else:
            value = content.decode()
        if told["name"].endswith("[]"):
            members.setdefault(told["name"].removesuffix("[]"), []).append(value)
        else:
            members[told["name"]] = value
    return members


class FreshserviceServer(VendorServer):
    """A service desk; ``tickets`` by number, each with its ``notes``."""

    def __init__(self) -> None:
        super().__init__()
        self.address = f"freshservice://{quote(KEY, safe='')}@{self.http.host_port}?scheme=http"
        self.tickets: dict[int, dict[str, Any]] = {}
        self.notes: dict[int, list[dict[str, Any]]] = {}

    def respond(self, seen: Seen) -> Reply:
        scheme, _, credentials = seen.headers.get("authorization", "").partition(" ")
        if scheme != "Basic" or b64decode(credentials).decode() != f"{KEY}:X":
            return Reply(401, {"code": "invalid_credentials", "message": "You have to be logged in"})
        if (seen.method, seen.path) == ("POST", "/api/v2/tickets"):
            return super().respond(seen)
        if seen.path == "/api/v2/tickets/filter":
            return self._filter(parse_qs(seen.query)["query"][0])
        number, _, what = seen.path.removeprefix("/api/v2/tickets/").partition("/")
        if not number.isdecimal() or int(number) not in self.tickets:
            return Reply(404)
        return self._of_ticket(seen, int(number), what)

    def _of_ticket(self, seen: Seen, number: int, what: str) -> Reply:
        match seen.method, what:
            case "GET", "":
                return Reply(200, {"ticket": self.tickets[number]})
            case "GET", "conversations":
                return Reply(200, {"conversations": self.notes[number]})
            case "POST", "notes":
                note = {"id": 900 + len(self.notes[number]), **_members(seen)}
                self.notes[number].append(note)
                return Reply(201, {"conversation": note})
        return Reply(405)

    def _filter(self, query: str) -> Reply:
        tag = query.removeprefix("\"tag:'").removesuffix("'\"")
        found = [ticket for ticket in self.tickets.values() if tag in ticket["tags"]]
        return Reply(200, {"tickets": found, "total": len(found)})

    def read(self, seen: Seen) -> tuple[str, Any]:
        body = _members(seen)
        wrong = [name for name in body if name not in _FIELDS or (name in _NUMBERS) != isinstance(body[name], int)]
        wrong = [name for name in wrong if name not in {"urgency", "impact"}]
        if wrong or any(len(tag) > 32 for tag in body["tags"]) or not body["subject"] or not body["description"]:
            raise Refusal(self.error(400, "invalid_field", json.dumps(wrong)))
        return body["email"], body

    def accept(self) -> Reply:
        number = 4200 + len(self.taken)
        self.tickets[number] = {"id": number, **self.taken[-1]}
        self.notes[number] = []
        return Reply(201, {"ticket": self.tickets[number]})

    def error(self, status: int, code: str = "", words: str = "") -> Reply:
        if status == 408:
            return Reply(408, {"message": words})
        faults = [{"field": "email", "message": words, "code": code or "invalid_value"}]
        return Reply(status, {"description": "Validation failed", "errors": faults})
