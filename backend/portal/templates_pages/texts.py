"""The editor's form: what it sends, and the text, fields and faults that this makes."""

from typing import Any

import msgspec

from backend.lib import inputs, shapes
from backend.lib.problems import Problem
from backend.portal.forms import Faults
from backend.registry import samples
from backend.registry.samples import Sample, SampleFault
from backend.registry.shapes import BatchShape, TemplateShape
from backend.registry.templates import TemplateContent

FORMATS = (("mjml", "MJML"), ("html", "HTML"), ("text", "Text"), ("markdown", "Markdown"))
KINDS = (("template", "Template"), ("partial", "Partial"), ("layout", "Layout"))
BATCH_FIELDS = ("quiet_seconds", "max_wait_seconds", "max_items")
# PostgreSQL counts revisions in 32 bits.
_LAST_REVISION = 2**31 - 1
VIEWS = ("desktop", "phone", "inbox", "text", "slack", "sms")


class EditorForm(msgspec.Struct, kw_only=True):
    """What the editor sends; ``revision`` is the draft's that it was opened with, ``mode`` NORMAL or BATCH."""

    action: str = "save"
    revision: str = "0"
    name: str = ""
    kind: str = "template"
    format: str = "mjml"
    subject: str = ""
    source: str = ""
    quiet_seconds: str = ""
    max_wait_seconds: str = ""
    max_items: str = ""
    repeat_after: str = ""
    mode: str = "NORMAL"
    view: str = "desktop"
    sample_name: str = ""
    new_sample_name: str = ""
    sample: str = ""
    delete_sample: str = ""

    @property
    def read_from(self) -> int:
        """Return the revision as a number; what is no number was read from nothing."""
        return inputs.number(self.revision, _LAST_REVISION) or 0

    @property
    def batch(self) -> bool:
        """Tell whether the preview is of a batch."""
        return self.mode == "BATCH"


class SampleState(msgspec.Struct, frozen=True):
    """The sample data of the preview: its fields, or why there are none, with the place in its text."""

    fields: Any
    fault: str | None = None
    line: int | None = None
    column: int | None = None


def unified(text: str) -> str:
    """Return a text with plain line feeds: browsers send both characters."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def content(form: EditorForm, faults: Faults) -> TemplateContent | None:
    """Read the text that a form sends; None where it cannot be kept, for the faults that are then said."""
    given: dict[str, Any] = {
        "name": form.name.strip(),
        "kind": form.kind,
        "format": form.format,
        "source": unified(form.source).replace("\x00", ""),
        "subject": form.subject.replace("\x00", "").strip() or None,
        "batch": _batch(form, faults),
        "repeat_after": form.repeat_after.strip() or None,
    }
    empty = not given["source"]
    try:
        # A draft may be empty; a template may not.
        shape = shapes.check(TemplateShape, given | ({"source": " "} if empty else {}))
    except Problem as problem:
        for error in problem.errors:
            faults.add(error.pointer.lstrip("/").partition("/")[2] or error.pointer.lstrip("/"), error.detail)
        return None
    if faults:
        return None
    batch = shape.batch.given() if shape.batch else None
    return TemplateContent(
        name=shape.name,
        kind=shape.kind,
        format=shape.format,
        source=given["source"],
        subject=shape.subject,
        batch=batch,
        repeat_after=shape.repeat_after,
    )


def _batch(form: EditorForm, faults: Faults) -> dict[str, float | int] | None:
    numbers: dict[str, float | int] = {}
    for name in BATCH_FIELDS:
        text = str(getattr(form, name)).strip()
        if not text:
            continue
        try:
            number = float(text)
        except ValueError:
            faults.add(name, "Write a number, or leave the field empty.")
            continue
        numbers[name] = int(number) if number.is_integer() else number
    if numbers and not faults:
        try:
            shapes.check(BatchShape, numbers)
        except Problem as problem:
            for error in problem.errors:
                faults.add(error.pointer.lstrip("/"), error.detail)
    return numbers or None


def sample_state(text: str, *, batch: bool) -> SampleState:
    """Read the sample data for a preview; for a batch an object stands for a list of one."""
    if not text.strip():
        return SampleState([{}] if batch else {})
    try:
        fields = samples.read(text)
    except SampleFault as fault:
        return SampleState(None, fault.detail, fault.line, fault.column)
    if batch:
        return SampleState(fields if isinstance(fields, list) else [fields])
    if isinstance(fields, list):
        return SampleState(None, "This sample is an array, which is for a batch: switch to BATCH, or write an object.")
    return SampleState(fields)


def form_of(text: TemplateContent, revision: int, present: list[Sample]) -> EditorForm:
    """Fill the editor's form from what is stored, with the first sample chosen."""
    sample = present[0] if present else Sample("", "{\n  \n}")
    batch = text.batch or {}
    return EditorForm(
        revision=str(revision),
        name=text.name,
        kind=text.kind,
        format=text.format,
        subject=text.subject or "",
        source=text.source,
        repeat_after=text.repeat_after or "",
        mode=mode_of(sample.text),
        sample_name=sample.name,
        sample=sample.text,
        **{name: _plain(batch.get(name)) for name in BATCH_FIELDS},
    )


def mode_of(sample: str) -> str:
    """Return what a sample is for: an array is a batch."""
    return "BATCH" if sample.lstrip().startswith("[") else "NORMAL"


def _plain(number: float | None) -> str:
    return "" if number is None else f"{number:g}" if number < 1_000_000 else str(int(number))
