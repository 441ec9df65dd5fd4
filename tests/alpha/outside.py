"""The alpha's entry point from outside: a web process of an installation, spoken to over HTTP alone."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from backend.accounts import service_tokens, services, users
from backend.accounts.service_tokens import TokenType
from backend.db import database as db
from backend.db.models.accounts import Service
from backend.lib import settings
from tests.conftest import SECRET_KEY
from tests.processes import Process
from tests.storms.installation import free_port, wait_until

PASSWORD = "validpassword"
MOBILE = "+449999234234"
_START_SECONDS = 60
_NOBODY = 999_999


@dataclass
class Outside:
    """What a client has: an address, tokens by their names, and the numbers of what there is by theirs."""

    http: httpx.Client
    tokens: dict[str, str]
    numbers: dict[str, int]

    def ask(self, method: str, path: str, body: Any = None, by: str = "admin", **headers: str) -> httpx.Response:
        """Send a request by the token of that name; ``{service}`` and the like in its path stand for numbers."""
        given = {"Authorization": f"Bearer {self.tokens.get(by, by)}"} | headers
        content = {"content": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
        return self.http.request(method, path.format_map(self.numbers), headers=given, **content)

    def get(self, path: str, by: str = "admin") -> Any:
        """Return the body of an answer that is 200."""
        answer = self.ask("GET", path, by=by)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, root: str, element: Any, status: int = 201, by: str = "admin") -> Any:
        """Return the body of the answer to an element, of which some numbers are named as in paths."""
        named = {
            name: self.numbers.get(value, value) if name.endswith("Id") else value for name, value in element.items()
        }
        answer = self.ask("POST", path, {root: named}, by)
        assert answer.status_code == status, answer.text
        return answer.json()


@contextmanager
def served(folder: Path, migrated_file: Path, **more: str) -> Iterator[Outside]:
    """Serve an installation with a few services, with ``more`` settings."""
    data = folder / "data"
    data.mkdir(mode=0o700)
    shutil.copy(migrated_file, data / "carillon.db")
    port = free_port()
    chosen = {"ENV": "test", "SECRET_KEY": SECRET_KEY, "DATA_DIR": str(data), "PORT": str(port)} | more
    with pytest.MonkeyPatch.context() as patched:
        for name, value in chosen.items():
            patched.setenv(f"CARILLON_{name}", value)
        tokens, numbers = _furnished()
        process = Process(("serve",), dict(os.environ), out=folder / "log")
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as http:
            wait_until(lambda: _answers(http), _START_SECONDS, (folder / "log").read_text)
            made = Outside(http, tokens, numbers)
            for of in ("service", "other"):
                job = made.post("/job", "job", {"name": "A first job", "serviceId": of})["job"]
                numbers["job" if of == "service" else "foreign_job"] = job["id"]
            yield made
    finally:
        process.kill()
        process.wait()


def _answers(http: httpx.Client) -> bool:
    try:
        return http.get("/healthz").is_success
    except httpx.TransportError:
        return False


def _furnished() -> tuple[dict[str, str], dict[str, int]]:
    """Store what no client can make: tokens, an organisation, a platform administrator, services of each condition."""
    settings.current.cache_clear()
    db.current.cache_clear()
    database = db.current()
    tokens, numbers = dict[str, str](), {"nobody": _NOBODY}
    with database.transaction() as session:

        def service(name: str, label: str, kind: TokenType = "client", **values: Any) -> Service:
            made = services.create_service(session, name, **({"live": True, "daily_limit": 1000} | values))
            tokens[label] = service_tokens.create(session, made, kind).token
            numbers[label] = made.id
            return made

        home = service("Sample office", "service", organisation="The city")
        tokens["admin"] = service_tokens.create(session, home, "admin").token
        tokens["client"] = tokens["service"]
        service("Other office", "other")
        service("Small office", "limited", daily_limit=1)
        service("Closed office", "inactive").active = False
        trial = service("Trial office", "trial", live=False)
        numbers["organisation"] = home.organisation_id or 0
        user = users.create_user(
            session, "test-user@office.gov.uk", PASSWORD, mobile=MOBILE, service=home, role="admin"
        )
        users.give_role(session, user, trial, "admin")
        boss = users.create_user(session, "boss@office.gov.uk", PASSWORD, platform_admin=True)
        numbers |= {"user": user.id, "boss": boss.id}
    database.close()
    settings.current.cache_clear()
    db.current.cache_clear()
    return tokens, numbers
