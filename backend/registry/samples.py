"""Sample data of templates: named JSON texts, an object for one notification, an array of them for a batch."""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db.models.registry import Template, TemplateSample
from backend.lib import pointers, strict_json
from backend.lib.problems import FieldError, Problem
from backend.registry.templates import TemplateContent, version_row

MAX_SAMPLES = 20
MAX_BYTES = 256 * 1024
MAX_NAME = 80
# What a template's own sample fields are called until its editors have samples.
FIRST = "Example"
_POSITION = re.compile(r"line (\d+), column (\d+)")


class Sample(msgspec.Struct, frozen=True):
    """A named sample, as its author wrote it; ``language`` is that of the variant which it is for, empty for none."""

    name: str
    text: str
    language: str = ""


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
        position = _POSITION.search(problem.detail)
        line, column = (int(position[1]), int(position[2])) if position else (None, None)
        raise SampleFault(problem.detail.replace("The body", "The sample data"), line, column) from None
    found = strict_json.faults(data)
    if found:
        where = pointers.in_words(f"/fields{found[0].pointer}")
        raise SampleFault(f"At {where}: {found[0].detail}")
    if not isinstance(data, dict) and not (isinstance(data, list) and data and all(isinstance(o, dict) for o in data)):
        raise SampleFault("Write one object in curly brackets; for a batch, an array of at least one object.", 1, 1)
    return data


def write(fields: Any) -> str:
    """Write fields as an editor shows them."""
    return json.dumps(fields, indent=2, ensure_ascii=False)


def of(session: Session, template_id: int, language: str = "") -> list[Sample]:
    """Return a template's samples, the eldest first, or else the sample fields of its published version.

    They are those of its own text, or of its variant in a language.
    """
    rows = [one for one in _stored(session, template_id) if one.language == language]
    if rows:
        return rows
    published = _published_fields(session, template_id).get(language)
    return [Sample(FIRST, write(published), language)] if published is not None else []


def of_all(session: Session, template_id: int) -> list[Sample]:
    """Return the samples of a template's own text, and of each of its variants that has any, in order of language."""
    languages = {one.language for one in _stored(session, template_id)} | _published_fields(session, template_id).keys()
    return [sample for language in sorted(languages | {""}) for sample in of(session, template_id, language)]


def _stored(session: Session, template_id: int) -> list[Sample]:
    chosen = select(TemplateSample).where(TemplateSample.template_id == template_id).order_by(TemplateSample.id)
    return [Sample(row.name, row.text, row.language) for row in session.scalars(chosen)]


def sampled(session: Session, template_id: int, content: TemplateContent) -> TemplateContent:
    """Return a text with the first of its samples that can be read, and its variants with theirs."""
    of_variants = {tag: first_fields(session, template_id, tag) for tag in content.variants}
    return content.sampled(first_fields(session, template_id), of_variants)


def all_fields(session: Session, template_id: int, language: str = "") -> list[Any]:
    """Return the fields of every sample that can be read, the eldest first."""
    found = []
    for sample in of(session, template_id, language):
        with suppress(SampleFault):
            found.append(read(sample.text))
    return found


def first_fields(session: Session, template_id: int, language: str = "") -> Any | None:
    """Return the fields of the first sample that can be read, which a version is published with."""
    return next(iter(all_fields(session, template_id, language)), None)


def put(session: Session, template_id: int, name: str, text: str, language: str = "") -> None:
    """Store a sample under its name.

    Raises:
        Problem: ``invalid_value`` for its name, its text (a ``SampleFault``), or when there are 20 already.
    """
    wanted = " ".join(name.split())
    if not wanted or len(wanted) > MAX_NAME or not wanted.isprintable():
        raise Problem("invalid_value", f"Give the sample a name of 1 to {MAX_NAME} characters.")
    read(text)
    _take_over(session, template_id, language)
    rows = {row.name: row for row in _rows(session, template_id, language)}
    if wanted in rows:
        rows[wanted].text = text
    elif len(rows) >= MAX_SAMPLES:
        raise Problem("invalid_value", f"A template has at most {MAX_SAMPLES} samples; delete one first.")
    else:
        session.add(TemplateSample(template_id=template_id, language=language, name=wanted, text=text))
    session.flush()


def replace(session: Session, template_id: int, wanted: Sequence[Sample]) -> None:
    """Store these samples in their order, and no others; what is there already stays as its author wrote it."""
    if same(wanted, _stored(session, template_id)):
        return
    for row in session.scalars(select(TemplateSample).where(TemplateSample.template_id == template_id)):
        session.delete(row)
    session.flush()
    session.add_all(_row(template_id, one) for one in wanted)
    session.flush()


def same(one: Sequence[Sample], other: Sequence[Sample]) -> bool:
    """Tell whether samples say the same, those of each language in the same order."""

    def said(samples: Sequence[Sample]) -> list[tuple[str, str, Any]]:
        return [(each.language, each.name, read(each.text)) for each in sorted(samples, key=lambda each: each.language)]

    return said(one) == said(other)


def delete(session: Session, template_id: int, name: str, language: str = "") -> None:
    """Delete a sample, if there is one of this name."""
    _take_over(session, template_id, language)
    for row in _rows(session, template_id, language):
        if row.name == name:
            session.delete(row)
    session.flush()


def _take_over(session: Session, template_id: int, language: str) -> None:
    """Make the published version's sample fields the first sample before there are others."""
    if not _rows(session, template_id, language):
        session.add_all(_row(template_id, one) for one in of(session, template_id, language))
        session.flush()


def _row(template_id: int, sample: Sample) -> TemplateSample:
    return TemplateSample(template_id=template_id, **msgspec.structs.asdict(sample))


def _rows(session: Session, template_id: int, language: str) -> list[TemplateSample]:
    own = (TemplateSample.template_id == template_id, TemplateSample.language == language)
    return list(session.scalars(select(TemplateSample).where(*own)))


def _published_fields(session: Session, template_id: int) -> dict[str, Any]:
    """Return the sample fields of the published version, and of those of its variants that have any, by language."""
    current = session.scalar(select(Template.current_version).where(Template.id == template_id))
    version = version_row(session, template_id, current or 0)
    if version is None:
        return {}
    found = {"": version.sample_fields} | {one.language: one.sample_fields for one in version.variants}
    return {language: fields for language, fields in found.items() if fields is not None}
