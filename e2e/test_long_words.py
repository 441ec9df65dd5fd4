"""A word of two hundred letters in all that people and programs may name: no page is pushed sideways by it."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Error, Page
from sqlalchemy import update

from backend.accounts import audit
from backend.accounts.audit import Actor
from backend.db.database import Database
from backend.db.models.accounts import ApiClient, Organisation, Service
from backend.db.models.batches import Batch
from backend.db.models.jobs import Job
from backend.db.models.notifications import OutboxMessage
from backend.db.models.registry import Recipient, TemplateDraft, TemplateVersion
from backend.db.models.spreadsheets import SpreadsheetFault
from e2e import opened_pages
from e2e.opened_pages import WIDE
from e2e.site import Site, sign_in
from tests.application import application
from tests.portal.desk import Desk
from tests.portal.furnished import PLATFORM_ADMIN, furnish, is_page

pytestmark = pytest.mark.timeout(600)
_WORD = "Unaufgefordertzusendungsbestätigungsverfahren" * 4 + "x" * 20
_SIZES = ({"width": 390, "height": 844}, {"width": 320, "height": 640})
# What a page shows as somebody has named it; texts that the database holds shorter take as much as they can.
_NAMED: tuple[tuple[Any, str, int], ...] = (
    (Service, "name", 200),
    (Organisation, "name", 200),
    (ApiClient, "name", 160),
    (Recipient, "name", 160),
    (TemplateVersion, "name", 160),
    (TemplateVersion, "subject", 200),
    (TemplateDraft, "name", 160),
    (TemplateDraft, "subject", 200),
    (Batch, "aggregator_id", 200),
    (Batch, "subject", 200),
    (Batch, "error", 200),
    (Job, "name", 160),
    (OutboxMessage, "subject", 200),
    (SpreadsheetFault, "reason", 200),
)


def lengthen(database: Database) -> None:
    """Write the word over every name; services and organisations keep names that differ."""
    with database.transaction() as session:
        for model, column, most in _NAMED:
            unique = {"Service", "Organisation"}
            for key in session.scalars(model.__table__.select().with_only_columns(model.id)).all():
                word = _WORD[: most - 4] + (f"{key:04}" if model.__name__ in unique else "")
                session.execute(update(model).where(model.id == key).values({column: word}))


@pytest.mark.parametrize("person", ["ada@lab.example", PLATFORM_ADMIN])
def test_no_page_is_pushed_sideways(site: Site, open_page: Callable[..., Page], person: str) -> None:
    furnished = furnish(site.database)
    desk: Desk = furnished.desk
    long_one = desk.accept("S-long", subject=_WORD, fields={"sample_id": _WORD})
    lengthen(site.database)
    with site.database.transaction() as session:
        audit.record(session, Actor("person", _WORD), "client.made", _WORD, service_id=desk.lab.service_id, detail={})
    page = open_page(viewport=WIDE)
    sign_in(page, site, person)
    of_a_service = person != PLATFORM_ADMIN
    named = [
        (name, one) for name, one in furnished.addresses(application()) if name.startswith("service") == of_a_service
    ]
    if of_a_service:
        named += [
            ("long", f"{desk.home}/notifications/{long_one}"),
            ("open", f"{desk.home}/batches/{furnished.open_batch}"),
        ]
    wrong: list[str] = []
    seen = 0
    for _, address in named:
        try:
            answer = page.goto(f"{site.url}{address}", wait_until="domcontentloaded")
        except Error:  # a file to keep
            continue
        if answer is None or not is_page(answer.text()):
            continue
        seen += 1
        for size in _SIZES:
            page.set_viewport_size(size)  # type: ignore[arg-type] # width and height
            try:
                opened_pages.fits(page)
            except AssertionError as fault:
                wrong.append(str(fault))
    assert not wrong, "\n".join(wrong)
    assert seen >= (30 if of_a_service else 12)
