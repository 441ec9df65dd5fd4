"""What enters and leaves the package: plain data only, so that it can cross into a bounded child process."""

from typing import Any, Literal

import msgspec

from backend.rendering.brand import NEUTRAL, Brand

Format = Literal["mjml", "html", "text", "markdown"]
LANGUAGE = "en"
NO_LAYOUT = "none"


class Partial(msgspec.Struct, frozen=True):
    """A partial or layout of the service, under the name by which templates include, import or extend it."""

    name: str
    format: Format
    source: str


class Surroundings(msgspec.Struct, frozen=True):
    """What a template sees besides its fields: whose message it is, and of which installation.

    ``environment`` is the installation's name, ``production`` tells whether what it sends is meant. ``brand`` is the
    service's, or its organisation's.
    """

    service: str = ""
    environment: str = ""
    production: bool = False
    base_url: str = ""
    brand: Brand = NEUTRAL

    def variables(self) -> dict[str, object]:
        """Return them under the names that templates know them by."""
        return {
            "environment": {"name": self.environment, "production": self.production},
            "service": {"name": self.service},
            "base_url": self.base_url,
            "brand": self.brand.variables(self.service),
        }


NOWHERE = Surroundings()
SURROUNDINGS = frozenset(NOWHERE.variables())


class Source(msgspec.Struct, frozen=True):
    """A template as its author wrote it; ``subject`` is a Jinja template of one line.

    ``partials`` are those that it names, and those that they name in turn. A ``fragment`` is itself such a part, which
    need not be a whole document. ``language`` is a BCP 47 tag: that of the message where its author names none, and of
    its numbers and dates. ``item_key`` names the member by which what a batch tells of is known again from message to
    message; None where it is not. ``layout`` surrounds the HTML of Markdown and text: the name of one of the partials,
    or ``none``, or else our own. ``around`` is what it sees besides its fields.
    """

    format: Format
    source: str
    subject: str | None = None
    partials: tuple[Partial, ...] = ()
    fragment: bool = False
    language: str = LANGUAGE
    layout: str | None = None
    item_key: str | None = None
    around: Surroundings = NOWHERE


class Told(msgspec.Struct, frozen=True):
    """What earlier messages told of an item: its fields of the last time, when it was first told of, how many times."""

    fields: dict[str, Any]
    first_seen: str
    times_told: int


class Memory(msgspec.Struct, frozen=True):
    """What the messages before a batch's told, by the identity of each item; ``at`` is when the batch goes (ISO 8601).

    Identities are those of ``memory.identity``.
    """

    at: str
    told: dict[str, Told] = {}


class Location(msgspec.Struct, frozen=True):
    """Where a line was written: a line of the template itself, or of the partial or layout that is named."""

    line: int
    name: str | None = None


class RenderJob(msgspec.Struct, frozen=True):
    """One message to render.

    ``key`` names the template version in the cache, such as ``tv:17``. ``fields`` is the JSON object of one
    notification, or, where ``batch`` is true, the list of the objects of all buffered notifications. Who uses only
    one part of the message can spare the other: the HTML is then absent, the text alternative of HTML empty.
    ``subject`` is the one that was sent along, which titles the message instead of the template's. ``memory`` is what
    the messages before a batch's told; without it all of its items are new.
    """

    key: str
    source: Source
    fields: object
    batch: bool = False
    want_html: bool = True
    want_text: bool = True
    subject: str | None = None
    memory: Memory | None = None


class Rendered(msgspec.Struct, frozen=True):
    """A rendered message; ``markdown`` is present for CommonMark only.

    ``fragment`` is present where a layout surrounds it in ``html``: empty for plain text. ``footer`` is what an e-mail
    has below the ``text``, and nothing else.
    """

    subject: str | None
    html: str | None
    text: str
    markdown: str | None = None
    fragment: str | None = None
    footer: str = ""

    @property
    def mail_text(self) -> str:
        """Return the text as e-mails have it: with the footer behind the sign that begins a signature (RFC 3676)."""
        if not self.footer:
            return self.text
        sign = "" if "\n-- \n" in self.text else "-- \n"
        return f"{self.text.rstrip()}\n\n{sign}{self.footer}\n"

    @property
    def bare_html(self) -> str | None:
        """Return the HTML without a layout, as what is no e-mail takes it; none for plain text."""
        return self.html if self.fragment is None else self.fragment or None


class TemplateWarning(msgspec.Struct, frozen=True):
    """Something that does not stop a template but that its author should look at; lines count from 1."""

    line: int | None
    code: str
    detail: str
