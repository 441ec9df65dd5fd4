"""What the editor shows beside a text: its preview, what is wrong with it, and who else works on it."""

import re
from typing import Any

import msgspec

from backend.channels import letter
from backend.db import database as db
from backend.portal.access import Workspace
from backend.portal.templates_pages import texts
from backend.portal.templates_pages.renditions import MOST_FRAMED, Renditions, renditions
from backend.portal.templates_pages.texts import EditorForm, SampleState
from backend.registry import previews
from backend.registry.drafts import Working
from backend.registry.templates import TemplateContent
from backend.rendering.model import Rendered, TemplateWarning
from backend.reports import template_preview
from backend.reports.template_preview import PreviewFault

_LINE = re.compile(r"^Line \d+: ")
EMPTY = PreviewFault("The template is empty: write something, or begin with a starter.", None, in_subject=False)


class Mark(msgspec.Struct, frozen=True):
    """One line of the list of problems: an ``error`` stops the template, a ``warning`` does not."""

    kind: str
    sentence: str
    line: int | None = None
    part: str = "source"


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """The preview of a text. Without ``views`` it could not be rendered; ``frame`` is the address of its HTML.

    ``letter`` is the address of the picture of a letter's first page, where that is looked at.
    """

    marks: list[Mark]
    views: Renditions | None
    frame: str | None
    letter: str | None = None
    sample: SampleState
    summary: str
    others: str | None


def shown(workspace: Workspace, present: Working, form: EditorForm, text: TemplateContent | None) -> Shown:
    """Render a text with the form's sample data; ``text`` is None where the form has faults of its own."""
    whole, text = text, None if text is None else texts.spoken(text, form.variant)
    sample = texts.sample_state(form.sample, batch=form.batch)
    others = None
    if form.read_from != present.revision and present.updated_by != workspace.viewer.email:
        others = present.updated_by
    if text is None or sample.fault or not text.source.strip():
        marks = [Mark("error", sample.fault, sample.line, "sample")] if sample.fault else []
        if text is not None and not text.source.strip():
            marks = [_mark(EMPTY)]
        return Shown(marks=marks, views=None, frame=None, sample=sample, summary=summary(marks), others=others)
    found = template_preview.preview(text, sample.fields, workspace.share, batch=form.batch)
    marks = [_mark(found.fault)] if found.fault else []
    # What stops the template on a line need not be warned of once more.
    stopped = found.fault.line if found.fault else None
    marks += [_warning(one) for one in found.warnings if one.line is None or one.line != stopped]
    if form.variant and whole is not None:
        marks += [
            _warning(one) for one in template_preview.other_fields(whole, workspace.service_id).get(form.variant, ())
        ]
    views = renditions(found.rendered, found.size) if found.rendered else None
    frame = _frame(workspace, present, views.framed) if views and views.framed is not None else None
    pictured = (
        _letter(workspace, present, found.rendered) if views and found.rendered and form.view == texts.LETTER else None
    )
    return Shown(
        marks=marks,
        views=views,
        frame=frame,
        letter=pictured,
        sample=sample,
        summary=summary(marks),
        others=others,
    )


def _mark(fault: PreviewFault) -> Mark:
    return Mark("error", _LINE.sub("", fault.sentence), fault.line, "subject" if fault.in_subject else "source")


def _warning(one: TemplateWarning) -> Mark:
    return Mark("warning", one.detail, one.line)


def summary(marks: list[Mark]) -> str:
    """Say in a sentence how a text stands, for the line that is read out."""
    errors = [mark for mark in marks if mark.kind == "error"]
    if errors:
        first = errors[0]
        return f"Line {first.line}: {first.sentence}" if first.line and first.part == "source" else first.sentence
    if not marks:
        return "No problems found."
    return "1 warning." if len(marks) == 1 else f"{len(marks)} warnings."


def _letter(workspace: Workspace, present: Working, rendered: Rendered) -> str | None:
    """Keep what a letter is made of: the HTML without a layout, or else the text."""
    html = letter.content(rendered.bare_html, rendered.text)
    return f"{_frame(workspace, present, html)}/letter" if len(html) <= MOST_FRAMED else None


def _frame(workspace: Workspace, present: Working, html: str) -> str:
    with db.current().transaction() as transaction:
        previews.keep(transaction, workspace.viewer.user_id, present.template_id, html)
    return workspace.address(f"templates/{present.identifier}/preview/{previews.digest(html)}")


def described(preview: Shown) -> dict[str, Any]:
    """Describe a preview for its templates."""
    return {
        "preview": preview,
        "views": preview.views,
        "frame_address": preview.frame,
        "letter_address": preview.letter,
    }
