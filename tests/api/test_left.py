"""A client that leaves in the middle of its request has met no fault of ours."""

import logging
from typing import Any

import pytest

from backend.api import direct
from tests.api.conftest import Site, site

__all__ = ["site"]

PLAIN = {"Content-Type": "application/json"}  # with it and a known client a notification takes the short way
JSON = {"Content-Type": "application/json; charset=utf-8"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PARTS = {"Content-Type": "multipart/form-data; boundary=x"}


@pytest.fixture
def leaving(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Let the connection of every request break once the first half of its body has come."""
    serve = direct.DirectLitestar.serve

    async def broken(self: Any, scope: Any, receive: Any, send: Any) -> None:
        left = iter((False, True))

        async def half() -> Any:
            if next(left, True):
                return {"type": "http.disconnect"}
            message = await receive()
            return message | {"body": message["body"][: len(message["body"]) // 2], "more_body": True}

        await serve(self, scope, half, send)

    monkeypatch.setattr(direct.DirectLitestar, "serve", broken)
    return site


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/notifications/v1", PLAIN),
        ("/notifications/v1", JSON),
        ("/notifications/v1/explain", JSON),
        ("/notifications/v1/bulk", JSON),
        ("/oauth/token", FORM),
        ("/users/auth", JSON),
        ("/receipts/twilio", FORM),
        ("/portal/sign-in", FORM),
        ("/portal/sign-in", PARTS),
    ],
)
def test_who_leaves_early_is_no_fault_of_the_server(
    leaving: Site, path: str, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    answer = leaving.http.post(path, content=b'{"channels": [1, 2]}', headers=headers)
    assert answer.status_code < 500, answer.text
    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR] == []
