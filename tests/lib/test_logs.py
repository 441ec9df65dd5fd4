"""An entry of the log is one line, whatever a stranger wrote into it."""

import asyncio
import io
import json
import logging
from typing import Any

import pytest

from backend.lib import logs
from tests.conftest import MovableClock


@pytest.fixture
def written(moving_clock: MovableClock, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> io.StringIO:
    """Give what is written, as JSON if the test's parameter says so."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    logs.configure(as_json=getattr(request, "param", False))
    return stream


def test_an_entry_is_one_line_with_time_level_and_name(written: io.StringIO) -> None:
    logging.getLogger("backend.lib").warning("Refused %s", "this")
    assert written.getvalue() == "2026-03-02T09:00:00.000000Z WARNING backend.lib: Refused this\n"


@pytest.mark.parametrize("breaker", ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x85", "\u2028", "\u2029", "\x1b[2J"])
def test_no_text_can_begin_a_line_of_its_own_or_steer_the_terminal(written: io.StringIO, breaker: str) -> None:
    logging.getLogger("x").error("name: %s", f"a{breaker}2026-03-02T09:00:00.000000Z ERROR forged: entry")
    lines = written.getvalue().splitlines()
    assert len(lines) == 1
    assert lines[0].isprintable()
    assert "\\" in lines[0]


def test_letters_of_every_language_stay_as_they_are(written: io.StringIO) -> None:
    logging.getLogger("x").error("Zoë, 東京\t✓")
    assert written.getvalue().endswith("Zoë, 東京\t✓\n")


def fail(reason: str) -> None:
    raise ValueError(reason)


def test_every_line_of_a_traceback_is_indented(written: io.StringIO) -> None:
    try:
        fail("first\n2026-03-02T09:00:00.000000Z ERROR forged: entry\rsecond")
    except ValueError:
        logging.getLogger("x").exception("It failed")
    first, *rest = written.getvalue().splitlines()
    assert first.endswith("ERROR   x: It failed")
    assert len(rest) >= 4
    assert all(line.startswith("    ") for line in rest)


def test_libraries_are_heard_from_warnings_on_whatever_their_level(written: io.StringIO) -> None:
    for name in ("httpx2", "authlib", "sqlalchemy.engine", "some.other"):
        logger = logging.getLogger(name)
        before = logger.level
        logger.setLevel(logging.DEBUG)
        logger.info("Bearer secret")
        logger.warning("%s is heard", name)
        logger.setLevel(before)
    assert [line.partition(": ")[2] for line in written.getvalue().splitlines()] == [
        "httpx2 is heard",
        "authlib is heard",
        "sqlalchemy.engine is heard",
        "some.other is heard",
    ]


@pytest.mark.parametrize(
    ("written_text", "shown"),
    [
        ("for ada@lab.example and <bob.b@x.org>", "for a…@lab.example and <b…@x.org>"),
        ("to +447700900123", "to +44…3"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer …"),
        ("https://hooks.slack.com/services/T0/B0/secret?x=1 failed", "https://hooks.slack.com/… failed"),
        ("at https://lab.example, https://[::1]:8000/ and (http://localhost:8000)", ...),
        ("at https://ada:secret@lab.example:443?sig=x", "at https://lab.example:443/…"),
        ("smtp://ada%40lab:secret@mail.lab.example:587?tls=starttls", "smtp://mail.lab.example:587/…"),
        ("postgresql://carillon:secret@db.lab.example/carillon", "postgresql://db.lab.example/…"),
        ("discord://4174216298/secret/, tgram://123:secret", "discord://… tgram://…"),
        (
            "GET /portal/invitation?key=secret&x=1 and /x?a=b&STATE=secret",
            "GET /portal/invitation?key=…&x=1 and /x?a=b&STATE=…",
        ),
        ("crs_0123456789 whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw=", "crs_… whsec_…"),
        ("xoxb-0123456789 SG.abcdefgh.ijkl eyJhbGciOiJFUzI1NiJ9.e30.sig", "xoxb-… SG.… eyJ…"),
        ("not null DETAIL:  Failing row contains (1, secret secret).", "not null DETAIL: …"),
        ("1 + 1, a @ b, +12", "1 + 1, a @ b, +12"),
    ],
)
def test_persons_and_secrets_are_masked(written: io.StringIO, written_text: str, shown: Any) -> None:
    shown = written_text if shown is ... else shown
    logging.getLogger("x").error("%s", written_text)
    assert written.getvalue().endswith(f"ERROR   x: {shown}\n")
    try:
        fail(written_text)
    except ValueError:
        logging.getLogger("x").exception("It failed")
    assert written.getvalue().endswith(f"    ValueError: {shown}\n")


def test_an_event_has_named_fields_and_the_request_it_belongs_to(written: io.StringIO) -> None:
    token = logs.request_id.set("req-1")
    logs.event(logging.getLogger("x"), logging.INFO, "attempt", {"provider": "a b\nc", "ms": 1.5}, {"provider": "d"})
    logs.request_id.reset(token)
    assert written.getvalue() == (
        "2026-03-02T09:00:00.000000Z INFO    x: attempt provider='a b\\\\nc' ms=1.5 request_id=req-1\n"
        "2026-03-02T09:00:00.000000Z INFO    x: attempt provider=d request_id=req-1\n"
    )


def test_events_below_the_level_are_not_written(written: io.StringIO) -> None:
    logs.event(logging.getLogger("x"), logging.DEBUG, "attempt", {"ms": 1})
    assert written.getvalue() == ""


def test_an_event_reaches_whatever_else_listens(written: io.StringIO, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger().addHandler(caplog.handler)
    logs.event(logging.getLogger("x"), logging.INFO, "attempt", {"ms": 1})
    assert [(entry.getMessage(), entry.__dict__["fields"]) for entry in caplog.records] == [("attempt", {"ms": 1})]
    assert written.getvalue().endswith("attempt ms=1\n")


@pytest.mark.parametrize("written", [True], indirect=True, ids=["json"])
@pytest.mark.parametrize("text", ["a\nb", "a\x85b\u2028c", 'quote " and \\', "Zoë ✓", "\x1b[2J"])
def test_json_is_one_object_a_line_and_says_the_same(written: io.StringIO, text: str) -> None:
    token = logs.request_id.set("req-1")
    logging.getLogger("x").warning("Said %s", text)
    try:
        fail(text)
    except ValueError:
        logging.getLogger("x").exception("It failed")
    logs.request_id.reset(token)
    first, second = (json.loads(line) for line in written.getvalue().splitlines())
    assert written.getvalue().replace("\n", "").isprintable()
    assert first == {
        "time": "2026-03-02T09:00:00.000000Z",
        "level": "WARNING",
        "logger": "x",
        "message": f"Said {text}",
        "request_id": "req-1",
    }
    assert second["exception"].endswith(f"ValueError: {text}")


def only_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away the handlers that pytest adds when a test begins."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [one for one in root.handlers if isinstance(one, logs._Handler)])


@pytest.mark.parametrize("written", [False, True], indirect=True)
def test_events_are_the_same_where_nobody_else_listens(written: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [{"status": 200, "path": "/a b"}, {"status": 500, "path": "a\nb"}]
    logs.event(logging.getLogger("x"), logging.INFO, "request", *entries)
    first = written.getvalue()
    only_ours(monkeypatch)
    logs.event(logging.getLogger("x"), logging.INFO, "request", *entries)
    assert written.getvalue() == first * 2
    assert len(first.splitlines()) == 2


def test_gathered_events_keep_their_moment_and_their_request(
    written: io.StringIO, moving_clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_ours(monkeypatch)
    gathered = logs.Gathered(logging.getLogger("x"), "request")

    async def serve() -> None:
        for number in (1, 2):
            token = logs.request_id.set(f"req-{number}")
            gathered.add({"status": 200 + number})
            logs.request_id.reset(token)
            moving_clock.forward(seconds=1)
        assert written.getvalue() == ""
        gathered.write()

    asyncio.run(serve())
    assert written.getvalue() == (
        "2026-03-02T09:00:00.000000Z INFO    x: request status=201 request_id=req-1\n"
        "2026-03-02T09:00:01.000000Z INFO    x: request status=202 request_id=req-2\n"
    )


def test_gathered_events_are_written_without_being_asked_for(
    written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_ours(monkeypatch)
    monkeypatch.setattr(logs, "_GATHERED_SECONDS", 0)
    gathered = logs.Gathered(logging.getLogger("x"), "request")

    async def serve() -> None:
        for number in (1, 2):
            token = logs.request_id.set(f"req-{number}")
            gathered.add({"status": 200 + number})
            logs.request_id.reset(token)
        while not written.getvalue():
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(serve(), 10))
    first, second = written.getvalue().splitlines()
    assert first.endswith("request status=201 request_id=req-1")
    assert second.endswith("request status=202 request_id=req-2"), "though the first request asked for the writing"
