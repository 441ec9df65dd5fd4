"""Notifications to readers of several languages: each gets its own, and who does not is told of everywhere."""

from typing import Any

import pytest
from sqlalchemy import select

from backend.accounts.audit import Actor
from backend.channels.base import Channel
from backend.db.models.accounts import Service
from backend.db.models.batches import Batch, BatchMember
from backend.db.models.notifications import OutboxMessage
from backend.intake import content as contents
from backend.intake import one_message
from backend.intake.accept import Accepted, accept_many
from backend.intake.explain import explain
from backend.registry.templates import Variant
from tests.factories import notification
from tests.scheduling.conftest import Calendar
from tests.scheduling.conftest import calendar as calendar  # noqa: PLC0414 - a fixture

GERMAN = Variant(source="<p>Probe {{ sample_id }}</p>", subject="Probe {{ sample_id }} ist fehlgeschlagen")
OWN = {"source": "<p>Sample {{ sample_id }}</p>", "subject": "Sample {{ sample_id }} has failed"}
ALL = ["X_GERMAN", "X_FRENCH", "X_LAB"]


@pytest.fixture
def readers(calendar: Calendar) -> Calendar:
    """A template in English and German, and readers of German, of French, and of whatever there is."""
    lab = calendar.lab
    lab.template("X_SAMPLE", **OWN, language="en", variants={"de": GERMAN})
    lab.recipient("X_GERMAN", ("EMAIL", "de@lab.example"), language="de")
    lab.recipient("X_FRENCH", ("EMAIL", "fr@lab.example"), language="fr")
    return calendar


def sent(readers: Calendar) -> dict[str, str | None]:
    """Return the subject that each address got."""
    with readers.lab.database.read() as session:
        return dict(session.execute(select(OutboxMessage.address, OutboxMessage.subject)).all())  # type: ignore[arg-type]


def languages(readers: Calendar, notification_id: str) -> list[str]:
    """Return the language of each message."""
    groups = readers.report(notification_id).channels[0].recipients
    return [one.language for group in groups for one in group.deliveries]


def submit(readers: Calendar, **changes: Any) -> Accepted:
    outcome = readers.submit(subject=..., **changes)
    assert isinstance(outcome, Accepted), outcome
    return outcome


def test_each_recipient_gets_its_language_and_the_missing_one_is_told(readers: Calendar) -> None:
    outcome = submit(readers, recipient=ALL)
    (warning,) = outcome.warnings
    assert (warning.pointer, warning.code) == ("/channels/0/recipient/1", "other_language")
    assert warning.detail == "X_SAMPLE has no variant in fr for X_FRENCH: the one in en goes instead."
    readers.work()
    assert sent(readers) == {
        "de@lab.example": "Probe S-1 ist fehlgeschlagen",
        "fr@lab.example": "Sample S-1 has failed",
        "lab@lab.example": "Sample S-1 has failed",
    }
    assert languages(readers, outcome.notification_id) == ["de", "en", "en"]
    assert warning.detail in readers.told(outcome.notification_id)
    report = readers.report(outcome.notification_id)
    assert report.channels[0].template_version == 2
    again = submit(readers, recipient=ALL)
    assert (again.duplicate, again.warnings) == (True, ())


def test_the_channel_speaks_for_those_who_say_nothing(readers: Calendar) -> None:
    submit(readers, recipient=ALL, language="de-AT")
    readers.work()
    assert set(sent(readers).values()) == {"Probe S-1 ist fehlgeschlagen"}


def test_the_language_of_the_channel_is_part_of_the_content(readers: Calendar) -> None:
    plain, german = submit(readers), submit(readers, language="de")
    assert plain.notification_id != german.notification_id
    assert submit(readers, language="DE").notification_id == german.notification_id


def test_the_service_speaks_for_those_of_whom_nobody_says_anything(readers: Calendar) -> None:
    with readers.lab.database.transaction() as session:
        session.get_one(Service, readers.lab.service_id).language = "de"
    outcome = submit(readers)
    readers.work()
    assert (sent(readers)["lab@lab.example"], outcome.warnings) == ("Probe S-1 ist fehlgeschlagen", ())


def test_an_address_that_several_share_gets_one_message_in_the_first_language_that_is_said(readers: Calendar) -> None:
    readers.lab.recipient("X_ANYBODY", ("EMAIL", "both@lab.example"))
    readers.lab.recipient("X_SHARED", ("EMAIL", "both@lab.example"), language="de")
    outcome = submit(readers, recipient=["X_ANYBODY", "X_SHARED"])
    readers.work()
    assert sent(readers) == {"both@lab.example": "Probe S-1 ist fehlgeschlagen"}
    assert len(readers.deliveries(outcome.notification_id)) == 1


def test_every_variant_that_goes_must_render_and_those_that_do_not_go_need_not(readers: Calendar) -> None:
    broken = Variant(source="{{ nobody.says_this }}", subject="S")
    readers.lab.template("X_SAMPLE", **OWN, language="en", variants={"de": broken})
    refused = readers.submit(recipient=["X_LAB", "X_GERMAN"])
    assert "X_SAMPLE in de does not render with these fields" in str(refused)
    assert isinstance(readers.submit(recipient=["X_LAB"]), Accepted)


def test_a_variant_without_a_subject_is_told_apart(readers: Calendar) -> None:
    readers.lab.template("X_SAMPLE", **OWN, language="en", variants={"de": Variant(source="<p>Probe</p>")})
    refused = readers.submit(recipient=["X_LAB", "X_GERMAN"], subject=...)
    assert "neither the channel nor its template in de has one" in str(refused)


def explained(readers: Calendar, **changes: Any) -> Any:
    read = contents.read(readers.lab.submission(notification(subject=..., **changes)))
    (channel,) = explain(read).channels
    return channel


def test_explaining_shows_every_language_and_who_misses_one(readers: Calendar) -> None:
    channel = explained(readers, recipient=ALL)
    assert (channel.language, channel.subject) == ("de", "Probe S-1 ist fehlgeschlagen")
    assert [(one.language, one.subject) for one in channel.variants] == [("en", "Sample S-1 has failed")]
    assert [one.language for one in channel.recipients] == [None, "en", "en"]
    assert [one.code for one in channel.warnings] == ["other_language"]


def test_a_template_in_one_language_says_so_to_who_asks_for_another(readers: Calendar) -> None:
    readers.lab.template("X_SAMPLE", **OWN)
    outcome = submit(readers, recipient=["X_GERMAN"])
    assert [one.code for one in outcome.warnings] == ["other_language"]
    assert submit(readers, recipient=["X_LAB"]).warnings == ()


def batches(readers: Calendar) -> list[tuple[str, int]]:
    with readers.lab.database.read() as session:
        return [(one.recipient, one.members) for one in session.scalars(select(Batch).order_by(Batch.id))]


def test_a_batch_is_one_message_in_its_recipients_language(readers: Calendar) -> None:
    german = Variant(source="{% for field in fields %}({{ field.sample_id }}){% endfor %}", subject="Proben")
    source = "{% for field in fields %}[{{ field.sample_id }}]{% endfor %}"
    readers.lab.template("X_LIST", source, format="text", subject="Samples", language="en", variants={"de": german})
    # Whatever the channels ask for, it is one batch for each recipient.
    for sample, language in (("S-1", ...), ("S-2", "de"), ("S-3", "en")):
        readers.accept_batched(sample, recipient=["X_GERMAN", "X_LAB"], subject=..., language=language)
    assert batches(readers) == [("X_GERMAN", 3), ("X_LAB", 3)]
    with readers.lab.database.read() as session:
        members = session.execute(select(BatchMember.notification_id, BatchMember.recipient)).all()
    assert len(members) == len(set(members)) == 6
    readers.clock.forward(minutes=2)
    readers.work()
    assert sent(readers) == {"de@lab.example": "Proben", "lab@lab.example": "Samples"}


def test_a_batch_for_who_has_no_language_goes_in_that_of_the_notification_that_opened_it(readers: Calendar) -> None:
    german = Variant(source="{{ fields | length }} Proben", subject="Proben")
    readers.lab.template(
        "X_LIST", "{{ fields | length }}", format="text", subject="Samples", language="en", variants={"de": german}
    )
    first = readers.accept_batched("S-1", recipient=["X_LAB"], subject=..., language="de")
    readers.accept_batched("S-2", recipient=["X_LAB"], subject=...)
    readers.clock.forward(minutes=2)
    readers.work()
    assert sent(readers) == {"lab@lab.example": "Proben"}
    assert languages(readers, first) == ["de"]
    missed = readers.accept_batched("S-3", recipient=["X_FRENCH"], subject=...)
    readers.clock.forward(minutes=2)
    readers.work()
    assert "X_LIST has no variant in fr for X_FRENCH: the one in en goes instead." in readers.told(missed)


def test_what_is_scheduled_goes_in_the_language_of_its_moment(readers: Calendar) -> None:
    one = readers.accept(recipient=["X_LAB", "X_GERMAN"], subject=..., send_at=readers.at(hours=1))
    readers.lab.recipient("X_LAB", ("EMAIL", "lab@lab.example"), language="de")
    readers.lab.recipient("X_GERMAN", ("EMAIL", "de@lab.example"), language="fr")
    readers.clock.forward(hours=1)
    readers.work()
    assert sent(readers) == {
        "lab@lab.example": "Probe S-1 ist fehlgeschlagen",
        "de@lab.example": "Sample S-1 has failed",
    }
    assert "X_SAMPLE has no variant in fr for X_GERMAN: the one in en goes instead." in readers.told(one)


def test_a_scheduled_variant_that_broke_is_told_before_it_is_due(readers: Calendar) -> None:
    one = readers.accept(recipient=["X_LAB", "X_GERMAN"], subject=..., send_at=readers.at(hours=1))
    readers.work()
    readers.lab.template(
        "X_SAMPLE", **OWN, language="en", variants={"de": Variant(source="{{ nobody.says_this }}", subject="S")}
    )
    readers.work()
    assert any("could not be sent as things are" in what for what in readers.told(one))
    german = {"de": GERMAN, "fr": GERMAN}
    readers.lab.template("X_SAMPLE", **OWN, language="en", variants=german)
    readers.work()
    assert "The template X_SAMPLE renders again." in readers.told(one)


def test_one_message_of_a_form_goes_in_the_language_that_was_chosen(readers: Calendar) -> None:
    form = {
        "service_id": readers.lab.service_id,
        "template": "X_SAMPLE",
        "subject": None,
        "fields": {"sample_id": "S-9"},
    }
    for mark, to, direct in (("1", "X_LAB", False), ("2", "someone@lab.example", True)):
        message = one_message.OneMessage(
            **form,
            channel=Channel.EMAIL,
            to=to,
            direct=direct,
            mark=mark,
            language="de",  # type: ignore[arg-type]
        )
        one_message.send(message, Actor("person", "ada@lab.example"))
    readers.work()
    assert set(sent(readers).values()) == {"Probe S-9 ist fehlgeschlagen"}
    assert len(sent(readers)) == 2


def test_many_at_once_are_each_validated_in_their_languages(readers: Calendar) -> None:
    bodies = [notification(f"S-{number}", recipient=ALL, subject=...) for number in range(20)]
    outcomes = accept_many([readers.lab.submission(one) for one in bodies], lambda _new: None)
    assert all(isinstance(one, Accepted) and len(one.warnings) == 1 for one in outcomes)
