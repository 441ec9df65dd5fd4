"""What publishing a text would break: it is rendered with the fields of the last messages that were really sent."""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from backend.channels.records import NEED_SUBJECT
from backend.lib.fair_pool import Share
from backend.lib.problems import Problem
from backend.publishing.sources import source_of
from backend.registry.template_usage import Payload
from backend.registry.templates import TemplateContent
from backend.rendering.memory import with_example
from backend.rendering.model import RenderJob, Source
from backend.rendering.pool import PREVIEWS

# Trying stops after this time, so that a slow template does not hold its author up.
SECONDS = 4.0
_HIDDEN = "•••"
_SHORTEST_HIDDEN = 3
_MOST_SHOWN = 60


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
