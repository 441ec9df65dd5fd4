"""The links by which messages are acknowledged: in mail and chat, and nothing that only looks acknowledges."""

import re
from collections.abc import Iterator

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from backend.db.models.audit import AuditEntry
from backend.delivery.content.acknowledging import offered
from backend.intake.accept import Accepted, accept_many
from backend.rendering.model import Rendered
from tests.application import application
from tests.delivery.conftest import Post, post, server
from tests.delivery.linked_mail import part
from tests.obligations.test_steps import owing

__all__ = ["post", "server"]

LINK = re.compile(r"http://[^\s\"<>)]*(/acknowledge/[0-9a-f]{56})")
PLACED = '<html><body><p><a href="{{ acknowledge_url }}">I am on it</a></p></body></html>'
PREFETCH = {"Sec-Purpose": "prefetch;prerender", "Purpose": "prefetch", "X-Moz": "prefetch", "Sec-Fetch-Dest": "empty"}
BOT = {"User-Agent": "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
# What mail filters, previews of chats and browsers send to a link before, or without, any person.
SCANNERS: list[tuple[str, dict[str, str], dict[str, str] | None]] = [
    ("GET", {}, None),
    ("HEAD", {}, None),
    ("OPTIONS", {}, None),
    ("GET", PREFETCH, None),
    ("HEAD", PREFETCH, None),
    ("GET", BOT, None),
    ("GET", {"Range": "bytes=0-1023"}, None),
    ("PROPFIND", {}, None),
    ("POST", {}, None),
    ("POST", PREFETCH, {"name": "Ada"}),
    ("POST", {}, {"name": "Ada", "proof": ""}),
    ("POST", {}, {"name": "Ada", "proof": "0" * 24}),
    ("POST", {}, {"List-Unsubscribe": "One-Click"}),
    ("POST", FORM, {}),
]


def proof(reader: TestClient[Litestar], path: str) -> str:
    """Return what the form behind a link sends along."""
    (found,) = re.findall(r'name="proof" value="([0-9a-f]{24})"', reader.get(path).text)
    return str(found)


@pytest.fixture
def any_database(database: object) -> object:
    """Give SQLite alone: no database tells links apart."""
    return database


@pytest.fixture
def reader(post: Post) -> Iterator[TestClient[Litestar]]:
    """Give the browser of whoever reads the mail."""
    with TestClient(application()) as http:
        yield http


def sent(post: Post, until: str = "acknowledged", **changes: object) -> tuple[str, str]:
    """Send a notification with an obligation; return its id, and the path of the link in its mail."""
    post.lab.recipient("X_DUTY", ("SMS", "+447700900123"))
    (outcome,) = accept_many([post.lab.submission(owing(until=until, **changes))], lambda _new: None)
    assert isinstance(outcome, Accepted), outcome
    assert post.send() == 1
    (received,) = post.server.wait_for(1)
    found = [set(LINK.findall(part(received.parsed, kind))) for kind in ("plain", "html")]
    assert found[0] == found[1]
    return outcome.notification_id, next(iter(found[0]), "")


def state(post: Post, uid: str) -> str:
    found = post.report(uid).obligation
    assert found is not None
    return found.state


@pytest.mark.parametrize("source", [PLACED, "<html><body><p>Hello</p></body></html>"], ids=["placed", "appended"])
def test_the_link_in_a_mail_acknowledges_by_its_button_alone(
    post: Post, reader: TestClient[Litestar], source: str
) -> None:
    post.lab.template("X_CALL", source)
    uid, path = sent(post, template_id="X_CALL")
    assert ("Acknowledge this message" in post.server.wait_for(1)[0].parsed.as_string()) is (source is not PLACED)
    for method, headers, data in SCANNERS:
        assert reader.request(method, path, headers=headers, data=data).status_code in {200, 204, 400, 405, 415}
        assert state(post, uid) == "OPEN", (method, headers, data)
    form = {"proof": proof(reader, path)}
    answer = reader.post(path, data=form | {"name": "Ada Lovelace"})
    assert answer.status_code == 200
    assert "Ada Lovelace (lab@lab.example)" in answer.text
    told = post.report(uid).obligation
    assert told is not None
    assert (told.state, told.met_by, told.met_through) == ("MET", "Ada Lovelace (lab@lab.example)", "LINK")
    assert "Ada Lovelace" in reader.post(path, data=form | {"name": "Bob"}).text
    assert "Ada Lovelace" in reader.get(path).text
    with post.lab.database.read() as session:
        entries = session.query(AuditEntry).filter_by(action="obligation.acknowledged").all()
    assert [entry.subject for entry in entries] == [uid]


def test_a_link_that_was_changed_leads_nowhere(post: Post, reader: TestClient[Litestar]) -> None:
    uid, path = sent(post)
    other = path[:-1] + ("0" if path[-1] != "0" else "1")
    for wrong in (
        other,
        path[:-1],
        f"{path}0",
        "/acknowledge/example-1",
        path.replace("/acknowledge/", "/acknowledge/z"),
    ):
        assert reader.get(wrong).status_code == 404
        assert reader.post(wrong, data={}).status_code == 404
    assert state(post, uid) == "OPEN"


def test_the_form_of_one_link_is_not_that_of_another(post: Post, reader: TestClient[Litestar]) -> None:
    first, path = sent(post)
    other = post.lab.submission(owing(subject="Another still"))
    (outcome,) = accept_many([other], lambda _new: None)
    assert isinstance(outcome, Accepted)
    post.send()
    paths = {one for mail in post.server.wait_for(2) for one in LINK.findall(part(mail.parsed, "plain"))}
    (second,) = paths - {path}
    answer = reader.post(second, data={"proof": proof(reader, path)})
    assert (answer.status_code, "press the button" in answer.text) == (400, True)
    assert reader.post(second, data={"proof": proof(reader, second)}).status_code == 200
    assert [state(post, uid) for uid in (first, outcome.notification_id)] == ["OPEN", "MET"]


def test_no_mail_has_the_link_where_mail_programs_unsubscribe(post: Post) -> None:
    sent(post)
    headers = post.server.wait_for(1)[0].parsed.items()
    assert not [name for name, value in headers if "/acknowledge/" in str(value)]
    assert not [name for name, _ in headers if name.lower().startswith("list-unsubscribe")]


def test_who_reads_says_so_and_a_delivery_is_not_asked_for(post: Post, reader: TestClient[Litestar]) -> None:
    uid, path = sent(post, until="read")
    assert "I have read this message" in reader.get(path).text
    assert "Met" not in state(post, uid)


def test_what_is_until_delivered_offers_no_link(post: Post) -> None:
    assert sent(post, until="delivered")[1] == ""


def test_chats_have_the_link_and_text_messages_only_where_a_template_puts_it() -> None:
    made = Rendered("A subject", "<p>Hello</p>", "Hello")
    address = "http://carillon.example/acknowledge/0"
    for channel in ("SLACK", "MSTEAMS", "EMAIL"):
        found = offered(made, channel, "acknowledged", address)
        assert address in (found.html or "")
        assert address in found.text
    assert offered(made, "SMS", "acknowledged", address) == made
