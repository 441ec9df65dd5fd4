"""How a text that is being edited looks and what is wrong with it, without storing or sending anything."""

import re
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.orm import Session

from backend.batching import keys
from backend.channels.records import NEED_SUBJECT
from backend.db import database as db
from backend.lib.fair_pool import Share
from backend.lib.problems import Problem
from backend.publishing import variants
from backend.publishing.sources import resolve, source_of, source_of_version
from backend.registry import drafts, lookup, samples
from backend.registry.drafts import Key
from backend.registry.lookup import FoundTemplate
from backend.registry.template_usage import Payload
from backend.registry.templates import TemplateContent
from backend.rendering import variables
from backend.rendering.faults import SUBJECT, TemplateFault
from backend.rendering.fields_read import FieldsRead, fields_read
from backend.rendering.memory import with_example
from backend.rendering.model import Rendered, RenderJob, Source, TemplateWarning
from backend.rendering.pool import PREVIEWS
from backend.rendering.variables import Variable

_LACKING = "unknown_field"
_LINE = re.compile(r"Line (\d+): ")
# Trying stops after this time, so that a slow template does not hold its author up.
SECONDS = 4.0
_HIDDEN = "•••"
_SHORTEST_HIDDEN = 3
_MOST_SHOWN = 60


# What a person has to fill in for one message that is made from a template.


class MessageForm(msgspec.Struct, frozen=True, kw_only=True):
    """A published template with its variables; ``for_batches`` tells that its samples are lists, so one makes nothing.

    ``template_id`` is its row, by which previews are kept; ``subject`` is its own.
    """

    identifier: str
    template_id: int
    variables: list[Variable]
    subject: str | None
    for_batches: bool


def of(session: Session, service_id: int, identifier: str) -> MessageForm | None:
    """Describe the form of a service's published template; None if it has none of this name to send with."""
    template = lookup.templates(session, service_id, {identifier}).get(identifier)
    if template is None:
        return None
    working = drafts.working(session, Key(service_id, identifier))
    known = samples.all_fields(session, working.template_id)
    return MessageForm(
        identifier=identifier,
        template_id=working.template_id,
        variables=variables.variables(_read(template), known),
        subject=template.subject,
        for_batches=bool(known) and all(isinstance(one, list) for one in known),
    )


def _read(template: FoundTemplate) -> FieldsRead:
    return _fields_of(source_of_version(template))


_fields_of = lru_cache(maxsize=64)(fields_read)


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


# What publishing a text would break: it is rendered with the fields of the last messages that were really sent.


class ShownField(msgspec.Struct, frozen=True):
    """One field of a payload as a page may show it: where it stands and of what kind it is, but not its value."""

    path: str
    kind: str


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one payload: ``breaks`` says why no message could be made of it."""

    uid: UUID
    at: datetime
    channel: str
    members: int | None
    breaks: str | None
    broken_before: bool
    fields: list[ShownField]


class Trials(msgspec.Struct, frozen=True):
    """What came of all; ``left_out`` of them were not tried for want of time."""

    tried: list[Trial]
    left_out: int

    @property
    def broken(self) -> list[Trial]:
        """Return those that the new text breaks and the published one does not."""
        return [trial for trial in self.tried if trial.breaks and not trial.broken_before]


def try_payloads(
    content: TemplateContent, published: TemplateContent | None, payloads: Sequence[Payload], share: Share
) -> Trials:
    """Render a text with each payload, in the language that went out; where it fails, see how the published one does.

    Raises:
        Problem: ``invalid_template`` for partials that contain each other.
    """
    source = _Sources(content, share.service_id)
    former = _Sources(published, share.service_id) if published is not None else None
    end = time.monotonic() + SECONDS
    tried: list[Trial] = []
    for payload in payloads:
        if time.monotonic() > end:
            break
        try:
            breaks = fault(source.of(payload), payload, share)
            before = breaks is not None and former is not None and fault(former.of(payload), payload, share) is not None
        except Problem:
            break  # there is no time for it just now
        tried.append(
            Trial(
                uid=payload.uid,
                at=payload.at,
                channel=payload.channel,
                members=payload.members,
                breaks=breaks,
                broken_before=before,
                fields=list(shown(payload.fields)),
            )
        )
    return Trials(tried, len(payloads) - len(tried))


class _Sources:
    """A text and its variants as the renderer takes them, each made once."""

    def __init__(self, content: TemplateContent, service_id: int) -> None:
        self._own, self._service_id = source_of(content, service_id), service_id
        self._spoken, self._made = content.spoken(), dict[str, Source]()

    def of(self, payload: Payload) -> Source:
        """Return the variant that a message was made from, or the text itself where there is none any more."""
        tag = payload.language
        if tag is None or tag not in self._spoken:
            return self._own
        if tag not in self._made:
            self._made[tag] = source_of(self._spoken[tag], self._service_id)
        return self._made[tag]


def fault(source: Source, payload: Payload, share: Share) -> str | None:
    """Say why no message can be made of a payload, without what its fields say; None if one can.

    Raises:
        Problem: if it cannot be rendered just now.
    """
    html = payload.content_type == "html"
    batch = payload.members is not None
    job = with_example(RenderJob("", source, payload.fields, batch, want_html=html, want_text=not html))
    try:
        rendered = PREVIEWS.render(job, share)
    except Problem as problem:
        if problem.code != "template_arguments":
            raise
        return without_values(problem.detail, payload.fields)
    if payload.channel in NEED_SUBJECT and not (payload.subject or rendered.subject):
        return f"{payload.channel} needs a subject: this message brought none, and the template gives none."
    return None


def shown(fields: Any) -> Iterator[ShownField]:
    """List the fields of a payload without their values, at most 60 of them."""
    for count, (path, value) in enumerate(_leaves(fields, "")):
        if count == _MOST_SHOWN:
            yield ShownField("…", "and more")
            return
        yield ShownField(path or "(all)", _kind(value))


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return f"text of {len(value)} character{'' if len(value) == 1 else 's'}"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, list):
        return "empty list"
    return "empty object" if isinstance(value, dict) else "null"


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, member in value.items():
            yield from _leaves(member, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list) and value:
        for index, member in enumerate(value):
            yield from _leaves(member, f"{path}[{index}]")
    else:
        yield path, value


def without_values(sentence: str, fields: Any) -> str:
    """Take out of a fault's sentence what the notification's fields say."""
    values = {value for _, value in _leaves(fields, "") if isinstance(value, str) and len(value) >= _SHORTEST_HIDDEN}
    for value in sorted(values, key=len, reverse=True):
        sentence = sentence.replace(value, _HIDDEN)
    return sentence
