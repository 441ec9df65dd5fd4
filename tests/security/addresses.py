"""Every address of the application with the ids of one service in it; a new route needs nothing here as a rule.

A parameter ``thing_id`` is the ``id`` of a row in the table ``things``. Any other is the column of its name in the
table that the piece of the path before it names: ``/notifications/{uid}`` is the ``uid`` of a notification. The
exceptions stand in ``TABLES`` and ``WORDS``.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from backend.registry import address_ids
from backend.reports import failing
from tests.application import application
from tests.security.two_services import Books, Holding

UNSAFE = {"POST", "PUT", "DELETE", "PATCH"}
_PARAMETER = re.compile(r"\{(\w+):(\w+)\}")
# (piece before, name of the parameter): where its value stands; None before stands for any piece.
TABLES: dict[tuple[str | None, str], tuple[str, str]] = {
    (None, "token_id"): ("service_tokens", "id"),
    (None, "delivery_uid"): ("deliveries", "uid"),
    (None, "notification_uid"): ("notifications", "uid"),
    ("outbox", "uid"): ("deliveries", "uid"),
    ("members", "notification_id"): ("notifications", "uid"),
    ("v1", "notification_id"): ("notifications", "uid"),
    ("aggregators", "aggregator_id"): ("batches", "aggregator_id"),
    ("recipients", "recipient_id"): ("recipients", "identifier"),
    ("policies", "policy_id"): ("policies", "identifier"),
    ("templates", "template_id"): ("templates", "identifier"),
    ("messages", "message_id"): ("callback_messages", "uid"),
    ("preview", "digest"): ("template_previews", "digest"),
    ("clients", "client_id"): ("api_clients", "client_id"),
    ("secrets", "secret_id"): ("client_secrets", "id"),
    ("jobs", "uid"): ("spreadsheets", "uid"),
    ("attachments", "sha256"): ("stored_files", "sha256"),
    ("files", "token"): ("file_links", "token"),
    ("files", "link_id"): ("file_links", "id"),
    ("matters", "uid"): ("batches", "matter_id"),
    ("matters", "matter"): ("batches", "aggregator_id"),
    ("sent-again", "uid"): ("resends", "uid"),
    (None, "suppression_id"): ("suppressions", "id"),
}
WORDS = {
    "decision": "resend",
    "row": "2",
    "which": "2",
    "channel": "EMAIL",
    "starter": "DEPLOYMENT_NOTICE",
    "number": "1",
    "kind": "twilio",
    "file_path": "styles/portal.css",
    "passkey_id": "1",  # of one's own account
}


def _failing(books: Books, holding: Holding) -> str:
    with books.database.read() as session:
        return failing.now(session, holding.service_id)[0].key


# What no table has as it stands in an address.
MADE: dict[tuple[str, str], Callable[[Books, Holding], str]] = {
    ("addresses", "name"): lambda _, holding: address_ids.seal(
        holding.service_id, f"gone@{holding.word.lower()}.example"
    ),
    ("failures", "key"): _failing,
}
# Pages that need a query to show anything: the ending of their path, the name in the query, and where its value stands.
QUERIES = {"/jobs/example": ("template", "templates", "identifier")}


@dataclass(frozen=True)
class Address:
    """One method of one path, as the application has it."""

    method: str
    path: str
    handler: HTTPRouteHandler

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def parameters(self) -> set[str]:
        return {name for name, _ in _PARAMETER.findall(self.path)}

    def is_guarded_by(self, guard: object) -> bool:
        """Tell whether a guard, which the framework may have wrapped for its threads, stands before it."""
        return any(guard in {one, getattr(one, "func", None)} for one in self.handler.resolve_guards())

    def filled(self, books: Books, holding: Holding, **given: object) -> str:
        """Write the path with a service's ids; ``given`` names those that are another's."""

        def value(found: re.Match[str]) -> str:
            name, before = found[1], self.path[: found.start()].rstrip("/").rpartition("/")[2]
            if name in given:
                return str(given[name])
            if (before, name) in MADE:
                return MADE[before, name](books, holding)
            if name in WORDS:
                return WORDS[name]
            if name == "address":
                return f"gone@{holding.word.lower()}.example"
            table, column = _table_of(before, name)
            if (
                table not in books.schema.tables
            ):  # whether it opens anything is told where pages open with their own ids
                return "1" if found[2] == "int" else "example"
            return str(books.one_of(table, column, holding))

        query = next((found for ending, found in QUERIES.items() if self.path.endswith(ending)), None)
        rest = f"?{query[0]}={books.one_of(query[1], query[2], holding)}" if query else ""
        return _PARAMETER.sub(value, self.path) + rest


def _table_of(before: str, name: str) -> tuple[str, str]:
    known = TABLES.get((before, name)) or TABLES.get((None, name))
    if known:
        return known
    return (f"{name.removesuffix('_id')}s", "id") if name.endswith("_id") else (before, name)


def addresses(*beginnings: str) -> Iterator[Address]:
    """Yield every method and path that begins so, without the framework's own OPTIONS."""
    for route in application().routes:
        if isinstance(route, HTTPRoute) and route.path.startswith(beginnings):
            for method, (handler, _) in route.route_handler_map.items():
                if method != "OPTIONS":
                    yield Address(str(method), route.path, handler)


ALPHA = ("/sms", "/email/", "/notification/{", "/job", "/service", "/user", "/organisation")


def of_the_alpha() -> Iterator[Address]:
    """Yield the addresses of the alpha's entry point."""
    yield from addresses(*ALPHA)
    yield from (one for one in addresses("/notifications") if one.path == "/notifications")
