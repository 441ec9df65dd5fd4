"""A spreadsheet as the steps of its work need it: what its rows are made into."""

from functools import lru_cache

from sqlalchemy.orm import Session

from backend.channels.base import Channel
from backend.db.models.jobs import Job
from backend.db.models.spreadsheets import Spreadsheet
from backend.publishing.sources import mail_settings, source_of_version
from backend.registry import lookup
from backend.registry.lookup import FoundTemplate
from backend.rendering.fields_read import FieldsRead, fields_read
from backend.spreadsheets.rows import Sheet


def fields_of(template: FoundTemplate) -> FieldsRead:
    """Return the fields that a template version reads."""
    return _fields_of(source_of_version(template))


_fields_of = lru_cache(maxsize=64)(fields_read)


def load(session: Session, row: Spreadsheet) -> Sheet:
    """Return what a spreadsheet's rows are made into."""
    template = lookup.versions(session, [row.template_version_id])[row.template_version_id]
    service_id = session.get_one(Job, row.job_id).service_id
    return Sheet(
        service_id=service_id,
        columns=row.columns,
        recipient=row.recipient_column,
        to_groups=row.to_groups,
        channel=Channel(row.channel),
        template=template,
        fields=fields_of(template),
        subject=row.subject,
        language=mail_settings(session, service_id).language,
    )
