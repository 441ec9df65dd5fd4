"""What is about one matter is one conversation: e-mails as a mail program threads them, Slack's thread, one ticket."""

from collections.abc import Callable, Iterable, Iterator
from email.message import EmailMessage
from typing import Any

import pytest
from sqlalchemy import select, update

from backend.accounts.audit import Actor
from backend.db.database import Database
from backend.db.models.matters import Conversation
from backend.db.models.notifications import Delivery, DeliveryStatus
from backend.delivery import reaper, tasks
from backend.delivery.providers import routes
from backend.delivery.sending.send import Sender
from backend.intake import matters
from backend.intake.accept import Accepted, accept_many
from backend.lib.settings import Settings
from backend.registry import recipients
from backend.registry.lookup import Address
from tests.conftest import MovableClock
from tests.delivery.conftest import Post
from tests.factories import Laboratory, laboratory, notification
from tests.imap_server import ImapServer
from tests.vendors.http_server import Reply
from tests.vendors.slack import SlackServer, Webhook


def threads(mails: list[EmailMessage]) -> list[set[str]]:
    """Put mails together as mail programs do: what names another, or is named by it, belongs to it (RFC 5256)."""
    found: list[set[str]] = []
    for mail in mails:
        named = {str(mail["Message-ID"]), *str(mail.get("References", "")).split()}
        joined = [one for one in found if one & named]
        found = [one for one in found if not one & named] + [named.union(*joined)]
    return found


def test_mails_of_one_matter_are_one_thread_in_a_mail_program(post: Post) -> None:
    for name, about in (("S-1", "freezer 3"), ("S-2", "freezer 3"), ("S-3", "freezer 4"), ("S-4", None)):
        post.accept(sample_id=name, **({"matter": about} if about else {}))
    post.send()
    post.accept(sample_id="S-5", matter="freezer 3")
    post.accept(sample_id="S-6", aggregator_id="freezer 3", priority="HIGH")
    post.send()
    mails = [one.parsed for one in post.server.wait_for(6)]
    assert len(threads(mails)) == 3
    alone = [one for one in mails if one["References"] is None]
    assert len(alone) == 3
    first = next(one for one in alone if sum(str(one["Message-ID"]) in str(two["References"]) for two in mails) == 3)
    replies = [one for one in mails if one["References"] is not None]
    assert all(str(one["References"]).split()[0] == str(first["Message-ID"]) for one in replies)
    assert all(str(one["In-Reply-To"]) == str(one["References"]).split()[-1] for one in replies)


def test_an_imap_server_puts_each_matter_into_one_thread(post: Post) -> None:
    told = [("freezer 3", "Freezer 3 is warm"), ("freezer 4", "Freezer 4 is warm"), (None, "A new freezer"),
            ("freezer 3", "Freezer 3 is getting warmer"), ("freezer 3", "Freezer 3 is cold")]  # fmt: skip
    for number, (about, subject) in enumerate(told):
        post.accept(sample_id=f"S-{number}", subject=subject, **({"matter": about} if about else {}))
        post.send()
        post.clock.forward(minutes=1)
    matters.resolve(post.lab.service_id, "freezer 3", "A new sensor.", Actor("person", "ada@lab.example"))
    post.send()
    mails = post.server.wait_for(6)
    with ImapServer() as mailbox:
        for mail in mails:
            mailbox.put(mail.parsed.as_bytes())
        with mailbox.opened() as client:
            client.select_folder("INBOX", readonly=True)
            # By what they name alone, and as RFC 5256 has it, which looks at subjects too.
            for algorithm in ("REFS", "REFERENCES"):
                found = sorted(sorted(_numbers(thread)) for thread in client.thread(algorithm))
                assert found == [[1, 4, 5, 6], [2], [3]], algorithm
    first = str(mails[0].parsed["Message-ID"])
    assert all(str(mails[one].parsed["References"]).split()[0] == first for one in (3, 4, 5))


def _numbers(thread: Iterable[Any]) -> Iterator[int]:
    """List the messages of a thread, which IMAP nests where it branches."""
    for one in thread:
        if isinstance(one, int):
            yield one
        else:
            yield from _numbers(one)


def test_a_mail_that_is_sent_again_does_not_reply_to_itself(post: Post) -> None:
    post.accept(matter="freezer 3")
    with post.lab.database.transaction() as session:
        session.execute(update(Delivery).values(status=DeliveryStatus.RETRYING.value, attempts=1))
    post.send()
    (mail,) = post.server.wait_for(1)
    assert mail.parsed["References"] is None
    assert mail.parsed["In-Reply-To"] is None


class Chat:
    """A laboratory whose Slack messages go to a workspace."""

    def __init__(self, lab: Laboratory, slack: SlackServer, clock: MovableClock) -> None:
        self.lab, self.slack, self.clock = lab, slack, clock
        self.sender = Sender("worker-one")

    def accept(self, *names: str, **changes: object) -> None:
        """Accept notifications about freezer 3 at once."""
        given = {"type": "SLACK", "template_id": "X_CHAT", "subject": None, "matter": "freezer 3"} | changes
        bodies = [self.lab.submission(notification(name, **given)) for name in names]
        assert all(isinstance(one, Accepted) for one in accept_many(bodies, tasks.wake))

    def work(self) -> None:
        """Send until nothing is due within some seconds."""
        for _ in range(8):
            self.sender.send_some()
            self.clock.forward(seconds=2)


@pytest.fixture
def chat(database: Database, moving_clock: MovableClock, configure: Callable[..., Settings]) -> Iterator[Chat]:
    with SlackServer() as slack:
        configure(SLACK_PROVIDERS=slack.address)
        routes.routes.cache_clear()
        lab = laboratory(database)
        lab.template("X_CHAT", "Sample {{ sample_id }} is late", format="markdown")
        lab.recipient("X_LAB", ("SLACK", "#alerts"))
        yield Chat(lab, slack, moving_clock)
    routes.routes.cache_clear()


def test_slack_has_one_thread_whose_first_post_shows_the_latest(chat: Chat) -> None:
    chat.accept("S-1", "S-2")  # at once: the second waits for the first to begin the thread
    chat.work()
    chat.accept("S-3")
    chat.work()
    posted = [one.json() for one in chat.slack.http.seen if one.path.endswith("postMessage")]
    assert [one.get("thread_ts") is None for one in posted] == [True, False, False]
    (first, *replies) = chat.slack.posts
    assert {chat.slack.posts[one]["thread_ts"] for one in replies} == {first}
    assert "S-3" in chat.slack.posts[first]["text"]
    assert "S-2" in chat.slack.posts[replies[0]]["text"]


def test_a_first_post_that_cannot_be_edited_loses_no_message(chat: Chat) -> None:
    chat.accept("S-1")
    chat.work()
    chat.slack.refusals["C0123456789"] = chat.slack.error(200, "cant_update_message")
    chat.accept("S-2")
    chat.work()
    with chat.lab.database.read() as session:
        statuses = session.scalars(select(Delivery.status)).all()
    assert statuses == ["SENT", "SENT"]
    assert len(chat.slack.posts) == 2


def test_a_thread_that_was_deleted_begins_anew(chat: Chat) -> None:
    chat.accept("S-1")
    chat.work()
    chat.slack.posts.clear()
    chat.accept("S-2")
    chat.work()
    chat.accept("S-3")
    chat.work()
    (first, reply) = chat.slack.posts
    assert chat.slack.posts[reply]["thread_ts"] == first
    assert "S-3" in chat.slack.posts[first]["text"]


def test_who_waits_goes_on_when_the_one_that_was_to_begin_has_failed(chat: Chat) -> None:
    chat.slack.refusals["#alerts"] = chat.slack.error(200, "msg_too_long")
    chat.accept("S-1", "S-2")
    chat.sender.send_some()
    chat.slack.refusals.clear()
    chat.work()
    assert [one["text"] for one in chat.slack.posts.values()] == ["Sample S-2 is late"]


def test_a_thread_is_known_though_its_worker_stopped_before_it_wrote_that_down(chat: Chat) -> None:
    chat.accept("S-1")
    chat.work()
    with chat.lab.database.transaction() as session:
        session.execute(update(Conversation).values(root=None, told_at=None))
        session.execute(update(Delivery).values(claimed_by="a dead worker"))
    with chat.lab.database.transaction() as session:
        found = reaper.orphaned(session, "worker-two", ())
        reaper.recover(session, found, ())
    chat.accept("S-2")
    chat.work()
    (first, reply) = chat.slack.posts
    assert chat.slack.posts[reply]["thread_ts"] == first


def test_teams_cards_of_one_matter_keep_their_title(
    database: Database, configure: Callable[..., Settings], moving_clock: MovableClock
) -> None:
    with Webhook(Reply(202, b"")) as hook:
        configure(OUTBOUND_ALLOW=hook.host_port)
        routes.routes.cache_clear()
        lab = laboratory(database)
        lab.template("X_CHAT", "It is late", format="markdown")
        with database.transaction() as session:
            recipients.put(session, lab.service_id, "X_LAB", "Lab", [Address("MSTEAMS", hook.url)])
        for subject in ("Freezer 3 is warm", "Freezer 3 is cold again"):
            given = notification(subject, type="MSTEAMS", template_id="X_CHAT", subject=subject, matter="freezer 3")
            accept_many([lab.submission(given)], tasks.wake)
            Sender("worker-one").send_some()
            moving_clock.forward(seconds=5)
        titles = [one.json()["attachments"][0]["content"]["body"][0]["text"] for one in hook.seen]
    routes.routes.cache_clear()
    assert titles == ["Freezer 3 is warm", "Freezer 3 is warm – Freezer 3 is cold again"]
