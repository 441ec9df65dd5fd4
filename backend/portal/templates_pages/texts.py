"""The editor's form: what it sends, and the text, fields and faults that this makes."""

from typing import Any

import msgspec

from backend.lib import inputs, strict_json
from backend.lib.problems import Problem
from backend.portal.forms import Faults
from backend.registry import samples, templates
from backend.registry.samples import Sample, SampleFault
from backend.registry.shapes import BatchShape, TemplateShape
from backend.registry.templates import TemplateContent, Variant

FORMATS = (("mjml", "MJML"), ("html", "HTML"), ("text", "Text"), ("markdown", "Markdown"))
KINDS = (("template", "Template"), ("partial", "Partial"), ("layout", "Layout"))
BATCH_FIELDS = ("quiet_seconds", "max_wait_seconds", "max_items")
# PostgreSQL counts revisions in 32 bits.
_LAST_REVISION = 2**31 - 1
LETTER = "letter"


class EditorForm(msgspec.Struct, kw_only=True):
    """What the editor sends; ``revision`` is the draft's that it was opened with, ``mode`` NORMAL or BATCH.

    ``variant`` is the language of the text in it, empty for the template's own, whose ``language`` may be said.
    """

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
    item_key: str = ""
    only_if_new: str = ""
    digest: str = ""
    repeat_after: str = ""
    sender: str = ""
    reply_to: str = ""
    mode: str = "NORMAL"
    view: str = "desktop"
    sample_name: str = ""
    new_sample_name: str = ""
    sample: str = ""
    delete_sample: str = ""
    language: str = ""
    variant: str = ""
    new_variant: str = ""

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


def content(form: EditorForm, faults: Faults, before: TemplateContent) -> TemplateContent | None:
    """Read the text that a form sends; None where it cannot be kept, for the faults that are then said.

    What is ``before`` has the texts in the languages that the form does not show.
    """
    given: dict[str, Any] = {
        "name": form.name.strip(),
        "kind": form.kind,
        "format": form.format,
        "source": unified(form.source).replace("\x00", ""),
        "subject": form.subject.replace("\x00", "").strip() or None,
        "batch": _batch(form, faults),
        "repeat_after": form.repeat_after.strip() or None,
        "language": form.language.strip() or None,
        "sender": form.sender or None,
        "reply_to": form.reply_to or None,
    }
    empty = not given["source"]
    try:
        # A draft may be empty; a template may not.
        shape = strict_json.check(TemplateShape, given | ({"source": " "} if empty else {}))
    except Problem as problem:
        for error in problem.errors:
            faults.add(error.pointer.lstrip("/").partition("/")[2] or error.pointer.lstrip("/"), error.detail)
        return None
    if faults:
        return None
    batch = shape.batch.given() if shape.batch else None
    variants = dict(before.variants)
    own = (given["source"], shape.subject)
    if form.variant:
        variants[form.variant] = Variant(source=own[0], subject=own[1])
        own = (before.source, before.subject)
    return templates.said_by(shape, source=own[0], subject=own[1], batch=batch, sample_fields=None, variants=variants)


def spoken(text: TemplateContent, variant: str) -> TemplateContent:
    """Return one of a template's texts as if it stood alone: its own, or that of a variant."""
    return text.spoken().get(variant) or msgspec.structs.replace(text, variants={})


def _batch(form: EditorForm, faults: Faults) -> dict[str, Any] | None:
    numbers: dict[str, Any] = {}
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
    if form.digest.strip():
        numbers["digest"] = form.digest.strip()
    if form.item_key.strip():
        numbers["item_key"] = form.item_key.strip()
    if form.only_if_new:
        numbers["only_if_new"] = True
    if numbers and not faults:
        try:
            strict_json.check(BatchShape, numbers)
        except Problem as problem:
            for error in problem.errors:
                faults.add(error.pointer.lstrip("/") or "item_key", error.detail)
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


def form_of(text: TemplateContent, revision: int, present: list[Sample], variant: str = "") -> EditorForm:
    """Fill the editor's form from what is stored, with the first sample chosen."""
    shown = spoken(text, variant)
    sample = present[0] if present else Sample("", "{\n  \n}")
    batch = text.batch or {}
    return EditorForm(
        revision=str(revision),
        name=text.name,
        kind=text.kind,
        format=text.format,
        subject=shown.subject or "",
        source=shown.source,
        language=text.language or "",
        variant=variant if variant in text.variants else "",
        repeat_after=text.repeat_after or "",
        sender=text.sender or "",
        reply_to=text.reply_to or "",
        mode=mode_of(sample.text),
        sample_name=sample.name,
        sample=sample.text,
        item_key=batch.get("item_key", ""),
        only_if_new="true" if batch.get("only_if_new") else "",
        digest=str(batch.get("digest") or ""),
        **{name: _plain(batch.get(name)) for name in BATCH_FIELDS},
    )


def mode_of(sample: str) -> str:
    """Return what a sample is for: an array is a batch."""
    return "BATCH" if sample.lstrip().startswith("[") else "NORMAL"


def _plain(number: float | None) -> str:
    return "" if number is None else f"{number:g}" if number < 1_000_000 else str(int(number))
