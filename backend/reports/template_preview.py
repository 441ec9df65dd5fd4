"""How a text that is being edited looks and what is wrong with it, without storing or sending anything."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from backend.batching import keys
from backend.db import database as db
from backend.lib.fair_pool import Share
from backend.lib.problems import Problem
from backend.publishing import variants
from backend.publishing.sources import resolve, source_of
from backend.registry.templates import TemplateContent
from backend.rendering.faults import SUBJECT, TemplateFault
from backend.rendering.model import Rendered, RenderJob, Source, TemplateWarning
from backend.rendering.pool import PREVIEWS

_LACKING = "unknown_field"
_LINE = re.compile(r"Line (\d+): ")


class PreviewFault(msgspec.Struct, frozen=True):
    """Why a template cannot be rendered: a sentence, and the line of the source where there is one."""

    sentence: str
    line: int | None
    in_subject: bool


class Preview(msgspec.Struct, frozen=True):
    """A rendered text with what its author should look at, or the fault that keeps it from being rendered."""

    rendered: Rendered | None
    fault: PreviewFault | None
    warnings: list[TemplateWarning]

    @property
    def size(self) -> int:
        """Return the size of the HTML in bytes."""
        return len((self.rendered.html or "").encode("utf-8", "replace")) if self.rendered else 0


def preview(
    content: TemplateContent, fields: Any, share: Share, *, batch: bool, source: Source | None = None
) -> Preview:
    """Check a text and render it with the fields: an object, or, for a batch, a list of objects.

    ``source`` is the text with the partials that it was published with, where it was.
    """
    try:
        source = source or source_of(content, share.service_id)
    except Problem as problem:
        return Preview(None, fault_of(problem), [])
    made, found = PREVIEWS.preview(RenderJob("", source, fields, batch), share)
    warnings = [*found, *keys.warnings(content.batch)]
    if isinstance(made, Problem):
        return Preview(None, fault_of(made), warnings)
    return Preview(made, None, warnings)


def before_publishing(content: TemplateContent, samples: Sequence[Any], share: Share) -> Preview:
    """Check a text and render it with its first sample; what it reads is only lacking if no sample has it."""
    if not samples:
        try:
            found = PREVIEWS.check(source_of(content, share.service_id), None, share)
        except Problem as problem:
            return Preview(None, fault_of(problem), [])
        return Preview(None, None, [*found, *keys.warnings(content.batch)])
    batch = isinstance(samples[0], list)
    shown = preview(content, samples[0], share, batch=batch)
    lacking = {_lack(one) for one in shown.warnings if one.code == _LACKING}
    for other in samples[1:]:
        if not lacking:
            break
        if isinstance(other, list) is batch:
            lacking &= {_lack(one) for one in preview(content, other, share, batch=batch).warnings}
    kept = [one for one in shown.warnings if one.code != _LACKING or _lack(one) in lacking]
    return msgspec.structs.replace(shown, warnings=kept)


def _lack(warning: TemplateWarning) -> tuple[int | None, str]:
    """Return what is lacking and where, without what may be meant instead."""
    return warning.line, warning.detail.partition("'.")[0]


def other_fields(content: TemplateContent, service_id: int) -> dict[str, list[TemplateWarning]]:
    """Tell of each variant which fields it and the template's own text do not share; of what cannot work, nothing."""
    try:
        with db.current().read() as session:
            found = resolve(session, service_id, "", content)
        told = {tag: list(variants.other_fields(found.source, one)) for tag, one in found.variants.items()}
    except (Problem, TemplateFault, RecursionError):
        return {}
    return {tag: warnings for tag, warnings in told.items() if warnings}


def refusal(content: TemplateContent, share: Share) -> PreviewFault | None:
    """Return why a text cannot be published, if it cannot, whatever fields come."""
    try:
        with db.current().read() as session:
            found = resolve(session, share.service_id, "", content)
        PREVIEWS.check(found.source, None, share)
        for tag, source in found.variants.items():
            with variants.at(tag):
                PREVIEWS.check(source, None, share)
    except Problem as problem:
        return fault_of(problem)
    return None


def fault_of(problem: Problem) -> PreviewFault:
    """Tell the place of a template's fault from its sentence."""
    in_subject = any(error.pointer == SUBJECT for error in problem.errors)
    found = _LINE.match(problem.detail)
    line = int(found[1]) if found and not in_subject else None
    return PreviewFault(problem.detail, line, in_subject)
