"""Where a notification has what was looked for, and whether it really has it."""

from collections.abc import Iterator, Sequence
from typing import Literal
from uuid import UUID

import msgspec

from backend.channels.addresses import masked
from backend.search import words
from backend.search.asked import Part, field_values
from backend.search.documents import Sent
from backend.search.query import Query, Term

Where = Literal[
    "subject", "address", "recipient", "field", "template_id", "aggregator_id", "job", "notification_id",
    "delivery_id", "provider_message_id",
]  # fmt: skip
# So many characters are shown around what was found.
_AROUND = 40


class Match(msgspec.Struct, frozen=True):
    """One place where a term was found: what it is, the name of a field, and the text with what was found in it."""

    where: Where
    name: str | None
    before: str
    hit: str
    after: str

    @property
    def text(self) -> str:
        """Return what stands there."""
        return self.before + self.hit + self.after


class Texts(msgspec.Struct, frozen=True, kw_only=True):
    """All that one notification can be found by. ``sent`` is ``whole`` if no message was left out.

    ``named`` are ids that were looked up by themselves, each with what it is the id of.
    """

    uid: UUID
    subject: str | None
    aggregator_id: str | None
    job: str | None
    parts: Sequence[Part]
    sent: Sequence[Sent]
    whole: bool
    named: Sequence[tuple[Where, str]] = ()

    def texts(self) -> Iterator[tuple[Where, str | None, str | None]]:
        """Give each text with what it is, and the name of a field: in the order in which they tell most."""
        yield "subject", None, self.subject
        for one in self.sent:
            yield "address", None, masked(one.type, one.address)
        for part in self.parts:
            yield from (("recipient", None, one) for one in part.recipient)
        yield from (("field", name, text) for name, text in field_values(self.parts))
        for part in self.parts:
            yield from (("template_id", None, part.template_id), ("subject", None, part.subject))
        yield "aggregator_id", None, self.aggregator_id
        yield "job", None, self.job


def matches(query: Query, texts: Texts) -> list[Match] | None:
    """Return where each term was found, each place once; ``None`` if one of them was not."""
    found: list[Match] = []
    if query.address is not None:
        found += _of_address(query.address, texts)
    for term in query.terms:
        match = _named(term, texts) or _in_texts(term, texts) or _in_id(term, texts.uid)
        if match is None and texts.whole:
            return None
        found += [match] if match is not None else []
    return list(dict.fromkeys(found))


def _of_address(address: str, texts: Texts) -> Iterator[Match]:
    wanted = words.of_address(address)
    whole = next((one for one in texts.sent if wanted in words.of_addresses(one.address)), None)
    if whole is not None:
        yield Match("address", None, "", masked(whole.type, whole.address), "")


def _named(term: Term, texts: Texts) -> Match | None:
    return next((Match(where, None, "", text, "") for where, text in texts.named if text == term.text), None)


def _in_texts(term: Term, texts: Texts) -> Match | None:
    for where, name, text in texts.texts():
        if text:
            shown = words.composed(text)
            span = term.span(shown)
            if span is not None:
                return _shortened(where, name, shown, span)
    return None


def _in_id(term: Term, uid: UUID) -> Match | None:
    """Find a part of the id, wherever it begins, and show it with its dashes."""
    first = uid.hex.find(term.digits) if term.digits is not None else -1
    if first < 0:
        return None
    whole, last = str(uid), first + len(term.digits or "")
    positions = [span for span, one in enumerate(whole) if one != "-"]
    return _shortened("notification_id", None, whole, (positions[first], positions[last - 1] + 1))


def _shortened(where: Where, name: str | None, text: str, span: tuple[int, int]) -> Match:
    begin, end = span
    before, hit, after = text[:begin], text[begin:end], text[end:]
    before = before if len(before) <= _AROUND else "…" + before[-_AROUND:].lstrip()
    after = after if len(after) <= _AROUND else after[:_AROUND].rstrip() + "…"
    return Match(where, name, " ".join(before.split("\n")), hit, " ".join(after.split("\n")))
