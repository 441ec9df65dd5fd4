"""From whom mails come and where answers go, as a mail server sees it: chosen in a channel or a template, or not."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select, update

from backend.accounts import senders
from backend.accounts.senders import NewSender
from backend.batching import manage
from backend.channels.base import Channel
from backend.db.models.batches import Batch
from backend.db.models.senders import Sender
from backend.delivery import tasks
from backend.intake import plain
from backend.intake.accept import accept_many
from backend.intake.content import read
from backend.intake.entries import Refused
from backend.intake.explain import Explanation, explain
from backend.intake.plain import PlainMessage
from backend.lib.settings import Settings
from tests.delivery.conftest import Post
from tests.factories import notification

INSTALLATION = "Laboratory <noreply@lab.example>"


def sent(post: Post) -> tuple[str, str | None]:
    """Send what is due; return the sender and the address for answers of the one mail that came."""
    post.server.messages.clear()
    post.send()
    (mail,) = post.server.wait_for(1)
    answers = mail.parsed["Reply-To"]
    return str(mail.parsed["From"]), None if answers is None else str(answers)


def explained(post: Post, **changes: Any) -> Explanation:
    return explain(read(post.lab.submission(notification(**changes))))


def refusal(post: Post, **changes: Any) -> tuple[str, str, str]:
    """Return the code, the place and the sentence of the one fault for which a notification is refused."""
    (outcome,) = accept_many([post.lab.submission(notification(**changes))], tasks.wake)
    assert isinstance(outcome, Refused), outcome
    (error,) = outcome.problem.errors
    return error.code, error.pointer, error.detail


def test_a_channel_chooses_before_its_template_and_that_before_the_service(post: Post) -> None:
    lab = post.lab
    post.accept(sample_id="S-0")
    assert sent(post) == (INSTALLATION, None)
    lab.sender("all@lab.example", name="Everybody", default=True)
    lab.sender("answers@elsewhere.example", "reply_to", default=True)
    post.accept(sample_id="S-1")
    assert sent(post) == ("Everybody <all@lab.example>", "answers@elsewhere.example")
    lab.sender("freezers@mail.lab.example", name="Freezers")
    desk = lab.sender("desk@elsewhere.example", "reply_to")
    lab.template("X_SAMPLE", sender="freezers@mail.lab.example", reply_to=str(desk))
    post.accept(sample_id="S-2")
    assert sent(post) == ("Freezers <freezers@mail.lab.example>", "desk@elsewhere.example")
    alarms = lab.sender("alarms@lab.example")
    for number, choice in enumerate((str(alarms), "Alarms@LAB.example")):
        post.accept(sample_id=f"S-3-{number}", sender=choice, reply_to="ANSWERS@elsewhere.example")
        assert sent(post) == ("alarms@lab.example", "answers@elsewhere.example")
    post.accept(sample_id="S-4", sender="alarms@lab.example")
    assert sent(post) == ("alarms@lab.example", "desk@elsewhere.example")


def test_what_is_chosen_must_be_there_verified_and_for_that_use(post: Post, configure: Callable[..., Settings]) -> None:
    lab = post.lab
    with lab.database.transaction() as session:
        senders.add(session, lab.service_id, NewSender("from", "new@lab.example"), "tests")
    lab.sender("desk@lab.example", "reply_to")
    unknown = str(uuid4())
    for given, destination, words in (
        ({"sender": "nobody@lab.example"}, "sender", "has no sender nobody@lab.example"),
        ({"sender": unknown}, "sender", f"has no sender {unknown}"),
        ({"sender": "new@lab.example"}, "sender", "new@lab.example is not verified"),
        ({"sender": "desk@lab.example"}, "sender", "no sender of this service, only an address for answers"),
        ({"reply_to": "new@lab.example"}, "reply_to", "no address for answers of this service, only a sender"),
    ):
        code, pointer, detail = refusal(post, **given)
        assert (code, pointer) == ("unknown_sender", f"/channels/0/{destination}")
        assert words in detail
        found = explained(post, **given)
        assert (found.would, [one.code for one in found.errors]) == ("FAIL", ["unknown_sender"])
    lab.sender("far@lab.example")
    configure(MAIL_FROM="Elsewhere <noreply@elsewhere.example>")
    code, _, detail = refusal(post, sample_id="S-9", sender="far@lab.example")
    assert code == "unknown_sender"
    assert "CARILLON_SENDER_DOMAINS" in detail
    configure(MAIL_FROM="Elsewhere <noreply@elsewhere.example>", SENDER_DOMAINS="lab.example, other.example")
    assert explained(post, sender="far@lab.example").would == "DISPATCH"
    _, pointer, detail = refusal(post, type="SMS", subject=..., sender="far@lab.example")
    assert (pointer, detail) == ("/channels/0/sender", "Only EMAIL has a 'sender'.")


def test_what_is_withdrawn_after_it_was_chosen_gives_way_to_the_default_and_the_record_says_so(post: Post) -> None:
    lab = post.lab
    chosen = lab.sender("alarms@lab.example")
    answers = lab.sender("desk@lab.example", "reply_to")
    lab.template("X_SAMPLE", reply_to="desk@lab.example")
    uid = post.accept(sender="alarms@lab.example")
    with lab.database.transaction() as session:
        senders.remove(session, lab.service_id, chosen)
        senders.remove(session, lab.service_id, answers)
    assert sent(post) == (INSTALLATION, None)
    report = post.report(uid)
    assert (report.channels[0].sender, report.channels[0].reply_to) == ("alarms@lab.example", None)
    told = report.events[-1].what
    assert "The chosen sender cannot be used, so the default one was: This service has no sender alarms@" in told
    assert "The chosen address for answers cannot be used, so the default one was: " in told
    found = explained(post, sample_id="S-2")
    assert found.would == "DISPATCH"
    (channel,) = found.channels
    assert (channel.sender, channel.reply_to) == (INSTALLATION, None)
    assert [one.code for one in channel.warnings if one.code == "unknown_sender"] == ["unknown_sender"]


def test_explain_says_what_the_headers_would_have(post: Post) -> None:
    post.lab.sender("alarms@lab.example", name="Alarms")
    post.lab.sender("desk@lab.example", "reply_to", default=True)
    (channel,) = explained(post, sender="alarms@lab.example").channels
    assert (channel.sender, channel.reply_to) == ("Alarms <alarms@lab.example>", "desk@lab.example")
    assert channel.warnings == []


def test_the_choice_is_part_of_what_a_notification_says_and_of_what_makes_a_batch(post: Post) -> None:
    lab = post.lab
    lab.sender("one@lab.example")
    lab.sender("two@lab.example")
    ids = {post.accept(**given) for given in ({}, {"sender": "one@lab.example"}, {"sender": "two@lab.example"})}
    assert len(ids) == 3
    post.send()
    assert len(post.server.wait_for(3)) == 3
    lab.template("X_LIST", "<ul>{% for one in fields %}<li>{{ one.sample_id }}</li>{% endfor %}</ul>")
    own = {"template_id": "X_LIST", "priority": "BATCH", "aggregator_id": "run-1"}
    for number, address in enumerate(("one@lab.example", "two@lab.example", "one@lab.example")):
        post.accept(sample_id=f"S-{number}", sender=address, **own)
    with lab.database.read() as session:
        batches = session.execute(select(Batch.sender, Batch.members)).all()
    assert sorted((one.sender, one.members) for one in batches) == [("one@lab.example", 2), ("two@lab.example", 1)]
    post.server.messages.clear()
    manage.flush_now(lab.service_id, "run-1")
    post.send()
    mails = post.server.wait_for(2)
    assert sorted(str(mail.parsed["From"]) for mail in mails) == ["one@lab.example", "two@lab.example"]


def test_the_alphas_sender_is_its_own_as_before(post: Post) -> None:
    message = PlainMessage(channel=Channel.EMAIL, to="bob@lab.example", text="Hello", subject="Hi", sender="x@y.gov.uk")
    plain.accept(post.lab.service_id, message)
    assert sent(post) == ("x@y.gov.uk", None)


def test_an_unverified_sender_is_asked_for_anew_when_the_mail_is_sent(post: Post) -> None:
    post.lab.sender("alarms@lab.example")
    uid = post.accept(sender="alarms@lab.example")
    with post.lab.database.transaction() as session:
        session.execute(update(Sender).values(verified_at=None))
    assert sent(post) == (INSTALLATION, None)
    assert "is not verified" in post.report(uid).events[-1].what


@pytest.mark.parametrize("kind", ["from", "reply_to"])
def test_the_default_is_one_of_each_kind(post: Post, kind: str) -> None:
    first = post.lab.sender("one@lab.example", kind, default=True)
    second = post.lab.sender("two@lab.example", kind, default=True)
    with post.lab.database.transaction() as session:
        rows = {row.uid: row.is_default for row in senders.of_service(session, post.lab.service_id)}
        assert rows == {first: False, second: True}
        senders.make_default(session, post.lab.service_id, second, default=False)
    post.accept()
    assert sent(post) == (INSTALLATION, None)
