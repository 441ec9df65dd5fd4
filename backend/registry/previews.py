"""The HTML of texts that are being edited, at an address of its own for the frame that shows it."""

import hashlib
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from backend.db import statements
from backend.db.models.registry import TemplatePreview
from backend.lib import clock

KEPT = timedelta(minutes=30)
_KEPT_OF_ONE_EDITOR = 8


def digest(html: str) -> str:
    """Return the name of a preview: of equal HTML it is the same."""
    return hashlib.sha256(html.encode("utf-8", "surrogatepass")).hexdigest()


def keep(session: Session, user_id: int, template_id: int, html: str) -> None:
    """Keep a preview for its editor for half an hour; of each editor's the newest eight, so that they stay few."""
    now = clock.now()
    row = {
        "user_id": user_id,
        "template_id": template_id,
        "digest": digest(html),
        # PostgreSQL keeps neither; a template can write both.
        "html": html.replace("\x00", "\ufffd").encode("utf-8", "replace").decode(),
        "created_at": now,
    }
    insert = statements.insert(session, TemplatePreview).values(**row)
    index_columns = ["user_id", "template_id", "digest"]
    session.execute(insert.on_conflict_do_update(index_elements=index_columns, set_={"created_at": now}))
    own = select(TemplatePreview.id).where(TemplatePreview.user_id == user_id)
    many = session.scalars(own.order_by(TemplatePreview.created_at.desc()).offset(_KEPT_OF_ONE_EDITOR)).all()
    old = (TemplatePreview.created_at < now - KEPT) | TemplatePreview.id.in_(many)
    session.execute(delete(TemplatePreview).where(old).execution_options(synchronize_session=False))


def kept(session: Session, user_id: int, template_id: int, name: str) -> str | None:
    """Return the HTML of a preview of this editor's, if it is still kept."""
    found: str | None = session.scalar(
        select(TemplatePreview.html).where(
            TemplatePreview.user_id == user_id,
            TemplatePreview.template_id == template_id,
            TemplatePreview.digest == name,
        )
    )
    return found
