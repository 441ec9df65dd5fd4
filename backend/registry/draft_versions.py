"""Texts of drafts kept as versions that are not published, so that they can be sent as tests."""

from sqlalchemy import delete as delete_rows
from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from backend.db.models.notifications import Delivery
from backend.db.models.registry import Template, TemplateVersion
from backend.registry import templates
from backend.registry.pins import Pins
from backend.registry.templates import TemplateContent


def for_a_test(
    session: Session, template_id: int, content: TemplateContent, created_by: str, pins: Pins | None = None
) -> int:
    """Keep a draft's text as a version that is not published, so that it can be sent as a test; return its row's id.

    Its number is below 0. Those of earlier tests go when no delivery needs them any more.
    """
    session.execute(select(Template.id).where(Template.id == template_id).with_for_update())
    own = (TemplateVersion.template_id == template_id) & (TemplateVersion.number < 0)
    chosen = own & TemplateVersion.variant_of.is_(None)
    for one in session.scalars(select(TemplateVersion).where(chosen, TemplateVersion.content_hash == content.digest())):
        if templates.says(one, content, pins):
            return one.id
    used = exists().where(Delivery.template_version_id == TemplateVersion.id)
    session.execute(delete_rows(TemplateVersion).where(chosen, ~used).execution_options(synchronize_session=False))
    number = templates.next_below(session, template_id)
    return templates.add_version(session, template_id, number, content, created_by, pins=pins).id
