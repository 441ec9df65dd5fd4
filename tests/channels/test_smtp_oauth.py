"""Signing in with access tokens, against a place that gives them and a mail server that checks them."""

import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qsl, quote

import pytest

from backend.channels import smtp_oauth
from backend.channels.base import Outcome, ProviderError
from backend.channels.email_smtp import SmtpConnection, SmtpProvider
from backend.channels.smtp_oauth import TokenRequest, TokenSource
from tests.channels.group_server import GroupServer
from tests.channels.messages import message
from tests.vendors.http_server import HttpServer, Reply, Seen

SECRET, REFRESH = "hunter2/:@ %", "refresh/hunter3"
MAILBOX = "lab@lab.example"


class Desk:
    """A place that gives numbered tokens, and a mail server that takes the ones in ``good``."""

    def __init__(self, server: GroupServer) -> None:
        self.server, self.given, self.expires_in = server, 0, 3600
        self.good: set[str] = set()
        self.refusal: Reply | None = None
        self.more: dict[str, str] = {}
        self.asked: list[dict[str, str]] = []
        server.mechanisms, server.play.signs_in = "LOGIN XOAUTH2", self.signs_in

    def respond(self, seen: Seen) -> Reply:
        self.asked.append(dict(parse_qsl(seen.body.decode())))
        if self.refusal is not None:
            return self.refusal
        self.given += 1
        answer = {"token_type": "Bearer", "access_token": f"token-{self.given}", "expires_in": self.expires_in}
        return Reply(200, answer | self.more)

    def signs_in(self, words: list[str], ask: Callable[[str], str]) -> str:
        """Take a SASL string as Google describes it; a client has to answer the account of what is wrong."""
        mechanism, response = words
        given = b64decode(response).decode()
        if mechanism == "XOAUTH2" and given in {f"user={MAILBOX}\1auth=Bearer {one}\1\1" for one in self.good}:
            return "235 2.7.0 accepted"
        answered = ask(b64encode(b'{"status":"400","schemes":"bearer"}').decode())
        assert not answered
        return "535 5.7.8 token not taken"


@pytest.fixture
def desk() -> Iterator[Desk]:
    with GroupServer(credentials=(MAILBOX, SECRET)) as server:
        yield Desk(server)


@pytest.fixture
def tokens(desk: Desk) -> Iterator[HttpServer]:
    with HttpServer(desk.respond) as running:
        yield running


def connection(desk: Desk, tokens: HttpServer, options: str = "") -> SmtpConnection:
    host_port = desk.server.address.rpartition("@")[2]
    who = f"{quote(MAILBOX, safe='')}:{quote(SECRET, safe='')}"
    endpoint = quote(f"http://{tokens.host_port}/token?tenant=a", safe="")
    return SmtpProvider(f"smtp://{who}@{host_port}&auth=xoauth2&client=app&token={endpoint}{options}").open()


def source_of(tokens: HttpServer) -> TokenSource:
    endpoint = f"http://{tokens.host_port}/token"
    return TokenSource(TokenRequest(endpoint=endpoint, client="app", secret=SECRET))


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        (
            "&scope=https%3A%2F%2Foutlook.office365.com%2F.default",
            {"grant_type": "client_credentials", "scope": "https://outlook.office365.com/.default"},
        ),
        (f"&refresh={quote(REFRESH, safe='')}", {"grant_type": "refresh_token", "refresh_token": REFRESH}),
    ],
)
def test_a_token_is_got_once_for_many_sessions(
    desk: Desk, tokens: HttpServer, options: str, asked: dict[str, str]
) -> None:
    desk.good = {"token-1"}
    sending = connection(desk, tokens, f"{options}&messages=1")
    for _ in range(3):
        sending.send(message())
    assert (len(desk.server.kept), desk.server.connections) == (3, 3)
    assert desk.asked == [{**asked, "client_id": "app", "client_secret": SECRET}]
    assert (tokens.seen[0].method, tokens.seen[0].path, tokens.seen[0].query) == ("POST", "/token", "tenant=a")
    assert tokens.seen[0].headers["content-type"] == "application/x-www-form-urlencoded"


def test_a_token_that_is_not_taken_is_got_anew_once(desk: Desk, tokens: HttpServer) -> None:
    desk.good = {"token-2"}
    connection(desk, tokens).send(message())
    assert (desk.given, len(desk.server.kept), desk.server.connections) == (2, 1, 1)
    desk.good = set()
    with pytest.raises(ProviderError) as caught:
        connection(desk, tokens).send(message())
    assert (caught.value.outcome, caught.value.route_down) == (Outcome.CONFIG, True)
    assert desk.given == 4


def test_a_token_is_not_used_beyond_its_end(desk: Desk, tokens: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.good = {"token-1", "token-2"}
    moments = [1000.0]
    monkeypatch.setattr(smtp_oauth, "monotonic", lambda: moments[-1])
    sending = connection(desk, tokens, "&messages=1")
    for moment, given in ((1000.0, 1), (4500.0, 1), (4560.0, 2)):
        moments.append(moment)
        sending.send(message())
        assert desk.given == given


def test_a_refresh_token_that_is_replaced_is_the_next_one(desk: Desk, tokens: HttpServer) -> None:
    desk.good, desk.more = {"token-2"}, {"refresh_token": "the-next"}
    connection(desk, tokens, "&refresh=the-first").send(message())
    assert [one["refresh_token"] for one in desk.asked] == ["the-first", "the-next"]


@pytest.mark.parametrize(
    ("refusal", "outcome"),
    [
        (Reply(400, {"error": "invalid_grant", "error_description": f"{REFRESH} has ended"}), Outcome.CONFIG),
        (Reply(401, {"error": "invalid_client", "error_description": f"bad secret {SECRET}"}), Outcome.CONFIG),
        (Reply(200, {"token_type": "Bearer"}), Outcome.CONFIG),
        (Reply(503, b"busy"), Outcome.RETRY),
        (Reply(429, b"later"), Outcome.RETRY),
    ],
)
def test_no_token_holds_the_way_back_and_tells_no_secret(
    desk: Desk, tokens: HttpServer, refusal: Reply, outcome: Outcome
) -> None:
    desk.refusal = refusal
    sending = connection(desk, tokens, f"&refresh={quote(REFRESH, safe='')}")
    with pytest.raises(ProviderError, match="there is no token to sign in with") as caught:
        sending.send(message())
    assert (caught.value.outcome, caught.value.route_down) == (outcome, True)
    assert "hunter" not in caught.value.detail


def test_a_place_that_gives_no_answer_is_tried_again(desk: Desk, tokens: HttpServer) -> None:
    tokens.fault = "close"
    with pytest.raises(ProviderError) as caught:
        connection(desk, tokens).send(message())
    assert (caught.value.outcome, caught.value.route_down) == (Outcome.RETRY, True)


def test_no_representation_tells_a_secret(desk: Desk, tokens: HttpServer) -> None:
    sending = connection(desk, tokens, f"&refresh={quote(REFRESH, safe='')}")
    shown = f"{sending._server!r} {sending._server.token!r} {sending._server.token._request!r}"  # type: ignore[union-attr]
    assert "hunter" not in shown


def test_a_failure_is_remembered_for_a_while_that_grows(
    desk: Desk, tokens: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = [1000.0]
    monkeypatch.setattr(smtp_oauth, "monotonic", lambda: moments[-1])
    desk.refusal = Reply(401, {"error": "invalid_client"})
    source = source_of(tokens)
    for seconds, asked in ((0, 1), (4, 1), (6, 2), (15, 2), (17, 3), (36, 3), (38, 4)):
        moments.append(1000.0 + seconds)
        for _ in range(100):
            with pytest.raises(ProviderError, match="invalid_client"):
                source.token()
        assert len(desk.asked) == asked, seconds
    moments.append(2000.0)
    desk.refusal = None
    assert source.token() == "token-1"
    desk.refusal = Reply(503, b"busy")
    moments.append(1e6)
    for _ in range(100):
        with pytest.raises(ProviderError):
            source.token()
    assert len(desk.asked) == 6


def test_a_failure_is_remembered_for_as_long_as_it_asks(
    desk: Desk, tokens: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = [1000.0]
    monkeypatch.setattr(smtp_oauth, "monotonic", lambda: moments[-1])
    desk.refusal = Reply(429, b"later", {"Retry-After": "40"})
    source = source_of(tokens)
    for seconds, asked in ((0, 1), (39, 1), (41, 2)):
        moments.append(1000.0 + seconds)
        with pytest.raises(ProviderError):
            source.token()
        assert len(desk.asked) == asked


def test_one_asks_and_the_others_wait_for_it_only_without_a_token(
    desk: Desk, tokens: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = [1000.0]
    monkeypatch.setattr(smtp_oauth, "monotonic", lambda: moments[-1])
    came, go_on, respond = threading.Event(), threading.Event(), desk.respond

    def slowly(seen: Seen) -> Reply:
        came.set()
        assert go_on.wait(10)
        return respond(seen)

    tokens.respond = slowly
    source = source_of(tokens)
    with ThreadPoolExecutor(20) as threads:
        first = [threads.submit(source.token) for _ in range(20)]
        assert came.wait(10)
        go_on.set()
        assert {one.result(10) for one in first} == {"token-1"}
        assert desk.given == 1
        came.clear()
        go_on.clear()
        moments.append(4550.0)  # the token ends at 4600, and is to be replaced
        renewing = threads.submit(source.token)
        assert came.wait(10)
        assert [source.token() for _ in range(20)] == ["token-1"] * 20
        go_on.set()
        assert renewing.result(10) == "token-2"
    assert (source.token(), desk.given) == ("token-2", 2)


def test_a_token_that_is_still_good_does_while_no_other_is_to_be_had(
    desk: Desk, tokens: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = [1000.0]
    monkeypatch.setattr(smtp_oauth, "monotonic", lambda: moments[-1])
    source = source_of(tokens)
    assert source.token() == "token-1"
    desk.refusal = Reply(503, b"busy")
    moments.append(4550.0)
    assert [source.token() for _ in range(100)] == ["token-1"] * 100
    assert len(desk.asked) == 2
    with pytest.raises(ProviderError):  # the server takes it no more
        source.token(instead_of="token-1")
    moments.append(4591.0)
    with pytest.raises(ProviderError):
        source.token()
