"""What a folder of templates holds, and an installation too: templates with their samples, and recipients."""

import re
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

Format = Literal["mjml", "html", "text", "markdown"]
Kind = Literal["template", "partial", "layout"]
EXTENSIONS: dict[Format, str] = {"mjml": "mjml", "html": "html", "text": "txt", "markdown": "md"}
IDENTIFIER = re.compile(r"[A-Z][A-Z0-9_]{2,63}", re.ASCII)
# The form of a language's tag, which is a part of names of files: in its usual spelling, such as de or zh-Hant-TW.
LANGUAGE = r"[a-z]{2,8}(?:-[A-Za-z0-9]{1,8})*"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class Fault(Exception):
    """What keeps a command from doing its work: one sentence for each thing that is wrong, with its file and line."""

    def __init__(self, *sentences: str) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = sentences


class Sample(msgspec.Struct, frozen=True, omit_defaults=True):
    """Sample data under its name: the object of one notification, or an array of them for a batch.

    ``language`` is that of the variant which it is for.
    """

    name: str
    fields: dict[str, Any] | list[dict[str, Any]]
    language: str | None = None


class Variant(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a template says in another language."""

    source: str
    subject: str | None = None


class Template(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A template, partial or layout; ``locked`` of None leaves the lock as it is.

    ``samples`` are in order of language, those of its own text first; ``variants`` are by their languages.
    """

    identifier: str
    name: str
    format: Format
    source: str
    kind: Kind = "template"
    subject: str | None = None
    samples: tuple[Sample, ...] = ()
    batch: dict[str, int | float | str | bool] | None = None
    repeat_after: str | None = None
    sender: str | None = None
    reply_to: str | None = None
    locked: bool | None = None
    language: str | None = None
    variants: dict[str, Variant] = {}


class Endpoint(msgspec.Struct, frozen=True):
    """One address on one channel."""

    type: str
    address: str


class Recipient(msgspec.Struct, frozen=True, kw_only=True):
    """A recipient group; ``pulled_from`` is the installation whose addresses these are, if they came from one."""

    identifier: str
    name: str
    endpoints: tuple[Endpoint, ...]
    pulled_from: str | None = None
    language: str | None = None


class Contents(msgspec.Struct, frozen=True):
    """Everything of a folder or an installation, by identifier."""

    templates: dict[str, Template]
    recipients: dict[str, Recipient]


def unified(text: str) -> str:
    """Return a text with plain line feeds: an editor's line ends are no change."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def same_template(local: Template, remote: Template) -> bool:
    """Tell whether pushing a template would change nothing."""
    return _comparable(local, remote) == _comparable(remote, remote)


def _comparable(one: Template, otherwise: Template) -> Template:
    return msgspec.structs.replace(
        plain(one),
        locked=bool(otherwise.locked if one.locked is None else one.locked),
        # With variants, an installation says in which language the template's own text is.
        language=otherwise.language if one.language is None and one.variants else one.language,
    )


def plain(one: Template) -> Template:
    """Return a template whose texts have plain line feeds."""
    variants = {tag: Variant(unified(text.source), _unified(text.subject)) for tag, text in one.variants.items()}
    return msgspec.structs.replace(
        one,
        source=unified(one.source),
        subject=_unified(one.subject),
        batch=one.batch or None,
        variants=variants,
    )


def _unified(text: str | None) -> str | None:
    return None if text is None else unified(text)


def printable(text: str) -> str:
    """Return a text as a terminal may show it: what would steer the terminal is left out."""
    return _CONTROL.sub("\ufffd", text)


def listed(names: Sequence[str]) -> str:
    """Name several things in a sentence."""
    return ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else "".join(names)
