"""Tests of drafts: real messages to their editors, counted, marked, and rendered as the preview was."""

import msgspec
import pytest

from backend.db.database import Database
from backend.db.models.notifications import OutboxMessage, Usage
from backend.delivery.sending.send import Sender
from backend.intake import trial
from backend.intake.trial import DraftMessage
from backend.lib.problems import Problem
from backend.registry import drafts
from backend.registry.drafts import Key
from backend.registry.templates import TemplateContent
from tests.factories import BATCH_HTML, Laboratory, laboratory

ADA = "ada@lab.example"


def draft(lab: Laboratory, source: str, fields: object, **more: object) -> DraftMessage:
    content = TemplateContent(**({"name": "Welcome", "format": "html", "source": source} | more))
    with lab.database.transaction() as session:
        key = Key(lab.service_id, "X_WELCOME")
        template_id = drafts.create(session, key, content, ADA).template_id
    return DraftMessage(
        service_id=lab.service_id,
        template_id=template_id,
        identifier="X_WELCOME",
        content=content,
        fields=fields,
        address=ADA,
    )


ONE = ("<p>{{ name }}</p>", {"name": "Eve"}, "For {{ name }}"), ("[Test] For Eve", "<p>Eve</p>")
MANY = (
    (BATCH_HTML, [{"sample-id": "S-1"}, {"sample-id": "S-2"}], None),
    ("[Test] Welcome", "<ul><li>S-1</li><li>S-2</li></ul>"),
)


@pytest.mark.parametrize(("given", "sent"), [ONE, MANY], ids=["one", "batch"])
def test_a_draft_goes_out_to_its_editor(
    database: Database, given: tuple[str, object, str | None], sent: tuple[str, str]
) -> None:
    source, fields, subject = given
    message = draft(laboratory(database), source, fields, subject=subject)
    with database.transaction() as session:
        trial.store(session, message)
    assert Sender("tests").send_some() == 1
    with database.read() as session:
        (kept,) = session.query(OutboxMessage).all()
        (used,) = session.query(Usage).all()
    assert (kept.address, kept.subject, kept.html) == (ADA, *sent)
    assert (used.channel, used.count) == ("EMAIL", 1)


def test_what_does_not_render_or_fit_under_the_days_limit_is_not_sent(database: Database) -> None:
    message = draft(laboratory(database, daily_limit=0), "<p>{{ name }}</p>", {"name": "Eve"})
    faulty = msgspec.structs.replace(message, fields={})
    for one, code in ((message, "daily_limit_reached"), (faulty, "template_arguments")):
        with pytest.raises(Problem) as refused, database.transaction() as session:
            trial.store(session, one)
        assert refused.value.code == code
    assert Sender("tests").send_some() == 0
