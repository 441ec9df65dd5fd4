"""A channel that operators have switched off takes nothing, and what needs it is not validated."""

from collections.abc import Callable

from sqlalchemy import select

from backend.db.database import Database
from backend.db.models.notifications import Notification
from backend.intake import content
from backend.intake.accept import Accepted, Refused, accept_many
from backend.intake.explain import explain
from backend.lib import settings
from tests.factories import laboratory, notification


def test_email_that_is_switched_off_is_refused_and_taken_later(
    database: Database, configure: Callable[..., settings.Settings]
) -> None:
    lab = laboratory(database)
    configure(EMAIL_ENABLED="false")
    (refused,) = accept_many([lab.submission(notification())], lambda _priorities: None)
    assert isinstance(refused, Refused)
    assert (refused.problem.code, refused.problem.entry.status) == ("channel_unavailable", 503)
    assert "EMAIL is switched off" in refused.problem.detail
    assert "Retry-After" in refused.problem.headers
    with database.read() as session:
        kept = session.scalars(select(Notification)).one()
        assert (kept.status, kept.accepted_at, str(kept.uid)) == ("FAILED", None, refused.notification_id)
    configure(EMAIL_ENABLED="true")
    (taken,) = accept_many([lab.submission(notification())], lambda _priorities: None)
    assert isinstance(taken, Accepted)
    configure(EMAIL_ENABLED="false")
    (again,) = accept_many([lab.submission(notification())], lambda _priorities: None)
    assert isinstance(again, Accepted)
    assert again.duplicate, "what was accepted before is said to be there"


def test_other_channels_go_on(database: Database, configure: Callable[..., settings.Settings]) -> None:
    lab = laboratory(database)
    lab.recipient("X_CHAT", ("SLACK", "#lab"))
    configure(EMAIL_ENABLED="false", SMS_ENABLED="false")
    chat = notification(type="SLACK", recipient=["X_CHAT"])
    (taken,) = accept_many([lab.submission(chat)], lambda _priorities: None)
    assert isinstance(taken, Accepted)


def test_explaining_foresees_it(database: Database, configure: Callable[..., settings.Settings]) -> None:
    lab = laboratory(database)
    configure(EMAIL_ENABLED="false")
    told = explain(content.read(lab.submission(notification())))
    assert (told.would, [error.pointer for error in told.errors]) == ("FAIL", ["/channels/0/type"])
