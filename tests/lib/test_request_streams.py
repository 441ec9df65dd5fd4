"""Each of many odd requests gets one answer, wherever the network splits it, and no body is ever a request."""

import asyncio

import httptools
import pytest

from backend.lib import connections
from tests.lib import request_streams

SHARE = range(12)


def test_every_request_is_answered_once_and_no_body_is_one() -> None:
    assert asyncio.run(request_streams.check(SHARE)) == []


def test_the_streams_find_a_parser_that_believes_an_offer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "RequestParser", httptools.HttpRequestParser)
    assert asyncio.run(request_streams.check(SHARE)) != []
