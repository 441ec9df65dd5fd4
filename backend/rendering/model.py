"""What enters and leaves the package: plain data only, so that it can cross into a bounded child process."""

from typing import Literal

import msgspec

Format = Literal["mjml", "html", "text", "markdown"]
LANGUAGE = "en"
NO_LAYOUT = "none"


class Partial(msgspec.Struct, frozen=True):
    """A partial or layout of the service, under the name by which templates include, import or extend it."""

    name: str
    format: Format
    source: str


class Source(msgspec.Struct, frozen=True):
    """A template as its author wrote it; ``subject`` is a Jinja template of one line.

    ``partials`` are those that it names, and those that they name in turn. A ``fragment`` is itself such a part, which
    need not be a whole document. ``language`` is a BCP 47 tag: that of the message where its author names none, and of
    its numbers and dates. ``layout`` surrounds the HTML of Markdown and text: the name of one of the partials, or
    ``none``, or else our own.
    """

    format: Format
    source: str
    subject: str | None = None
    partials: tuple[Partial, ...] = ()
    fragment: bool = False
    language: str = LANGUAGE
    layout: str | None = None


class Place(msgspec.Struct, frozen=True):
    """Where a line was written: a line of the template itself, or of the partial or layout that is named."""

    line: int
    name: str | None = None


class RenderJob(msgspec.Struct, frozen=True):
    """One message to render.

    ``key`` names the template version in the cache, such as ``tv:17``. ``fields`` is the JSON object of one
    notification, or, where ``batch`` is true, the list of the objects of all buffered notifications. Who uses only
    one part of the message can spare the other: the HTML is then absent, the text alternative of HTML empty.
    ``subject`` is the one that was sent along, which titles the message instead of the template's.
    """

    key: str
    source: Source
    fields: object
    batch: bool = False
    want_html: bool = True
    want_text: bool = True
    subject: str | None = None


class Rendered(msgspec.Struct, frozen=True):
    """A rendered message; ``markdown`` is present for CommonMark only.

    ``fragment`` is present where a layout surrounds it in ``html``: empty for plain text.
    """

    subject: str | None
    html: str | None
    text: str
    markdown: str | None = None
    fragment: str | None = None

    @property
    def bare_html(self) -> str | None:
        """Return the HTML without a layout, as what is no e-mail takes it; none for plain text."""
        return self.html if self.fragment is None else self.fragment or None


class TemplateWarning(msgspec.Struct, frozen=True):
    """Something that does not stop a template but that its author should look at; lines count from 1."""

    line: int | None
    code: str
    detail: str
