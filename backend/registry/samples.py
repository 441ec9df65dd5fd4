"""Sample data of templates: named JSON texts, an object for one notification, an array of them for a batch."""

import json
import re
from contextlib import suppress
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db.models.registry import Template, TemplateSample
from backend.lib import places, strict_json
from backend.lib.problems import FieldError, Problem
from backend.registry.templates import version_row

MAX_SAMPLES = 20
MAX_BYTES = 256 * 1024
MAX_NAME = 80
# What a template's own sample fields are called until its editors have samples.
FIRST = "Example"
_PLACE = re.compile(r"line (\d+), column (\d+)")


class Sample(msgspec.Struct, frozen=True):
    """A named sample, as its author wrote it."""

    name: str
    text: str


class SampleFault(Problem):
    """Text that is no sample; ``line`` and ``column`` count from 1 and are there where the JSON is malformed."""

    def __init__(self, detail: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__("invalid_value", detail, errors=[FieldError("/sample", "invalid_value", detail)])
        self.line = line
        self.column = column


def read(text: str) -> Any:
    """Return the fields that a sample's text says: an object, or a list of objects.

    Raises:
        SampleFault: with the place of the fault.
    """
    raw = text.encode("utf-8", "replace")
    if len(raw) > MAX_BYTES:
        raise SampleFault("The sample data must have at most 256 KiB.")
    try:
        data = strict_json.parse(raw)
    except Problem as problem:
        place = _PLACE.search(problem.detail)
        line, column = (int(place[1]), int(place[2])) if place else (None, None)
        raise SampleFault(problem.detail.replace("The body", "The sample data"), line, column) from None
    found = strict_json.faults(data)
    if found:
        where = places.in_words(f"/fields{found[0].pointer}")
        raise SampleFault(f"At {where}: {found[0].detail}")
    if not isinstance(data, dict) and not (isinstance(data, list) and data and all(isinstance(o, dict) for o in data)):
        raise SampleFault("Write one object in curly brackets; for a batch, an array of at least one object.", 1, 1)
    return data


def write(fields: Any) -> str:
    """Write fields as an editor shows them."""
    return json.dumps(fields, indent=2, ensure_ascii=False)


def of(session: Session, template_id: int) -> list[Sample]:
    """Return a template's samples, the eldest first, or else the sample fields of its published version."""
    rows = session.scalars(
        select(TemplateSample).where(TemplateSample.template_id == template_id).order_by(TemplateSample.id)
    ).all()
    if rows:
        return [Sample(row.name, row.text) for row in rows]
    published = _published_fields(session, template_id)
    return [Sample(FIRST, write(published))] if published is not None else []


def all_fields(session: Session, template_id: int) -> list[Any]:
    """Return the fields of every sample that can be read, the eldest first."""
    found = []
    for sample in of(session, template_id):
        with suppress(SampleFault):
            found.append(read(sample.text))
    return found


def first_fields(session: Session, template_id: int) -> Any | None:
    """Return the fields of the first sample that can be read, which a version is published with."""
    return next(iter(all_fields(session, template_id)), None)


def put(session: Session, template_id: int, name: str, text: str) -> None:
    """Store a sample under its name.

    Raises:
        Problem: ``invalid_value`` for its name, its text (a ``SampleFault``), or when there are 20 already.
    """
    wanted = " ".join(name.split())
    if not wanted or len(wanted) > MAX_NAME or not wanted.isprintable():
        raise Problem("invalid_value", f"Give the sample a name of 1 to {MAX_NAME} characters.")
    read(text)
    _take_over(session, template_id)
    rows = {row.name: row for row in _rows(session, template_id)}
    if wanted in rows:
        rows[wanted].text = text
    elif len(rows) >= MAX_SAMPLES:
        raise Problem("invalid_value", f"A template has at most {MAX_SAMPLES} samples; delete one first.")
    else:
        session.add(TemplateSample(template_id=template_id, name=wanted, text=text))
    session.flush()


def delete(session: Session, template_id: int, name: str) -> None:
    """Delete a sample, if there is one of this name."""
    _take_over(session, template_id)
    for row in _rows(session, template_id):
        if row.name == name:
            session.delete(row)
    session.flush()


def _take_over(session: Session, template_id: int) -> None:
    """Make the published version's sample fields the first sample before there are others."""
    if not _rows(session, template_id):
        session.add_all(
            TemplateSample(template_id=template_id, name=o.name, text=o.text) for o in of(session, template_id)
        )
        session.flush()


def _rows(session: Session, template_id: int) -> list[TemplateSample]:
    return list(session.scalars(select(TemplateSample).where(TemplateSample.template_id == template_id)))


def _published_fields(session: Session, template_id: int) -> Any | None:
    current = session.scalar(select(Template.current_version).where(Template.id == template_id))
    version = version_row(session, template_id, current or 0)
    return version.sample_fields if version else None
