"""What enters and leaves the package: plain data only, so that it can cross into a bounded child process."""

import marshal
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

import msgspec

from backend.lib.problems import FieldError, Problem

Format = Literal["mjml", "html", "text", "markdown"]
LANGUAGE = "en"
NO_LAYOUT = "none"
# By this name the layouts and partials that come with Carillon see the brand; no field takes its place.
OURS = "_brand"
WHITE = "#ffffff"
# What dark mail programs show in the place of white, as the layout of mails says.
DARK = "#1d242b"
Deed = Literal["render", "check", "preview"]


# What an organisation's messages look like: its logo, its colours, the words below them, and who they come from.


class Logo(msgspec.Struct, frozen=True):
    """A picture that goes along with the mail (``src`` is its ``cid:``); ``width`` and ``height`` are in CSS pixels."""

    src: str
    alt: str
    width: int
    height: int


class Colours(msgspec.Struct, frozen=True):
    """Colours as ``#rrggbb``; text and links stand on ``background`` and on white.

    ``link_dark`` is that of links where mail programs show the message in the dark.
    """

    primary: str = "#1f4e5f"
    on_primary: str = WHITE
    background: str = "#f1f4f6"
    text: str = "#1f2a33"
    link: str = "#0b5f73"
    link_dark: str = "#7cc7da"


class FooterLink(msgspec.Struct, frozen=True):
    """A link below a message."""

    text: str
    address: str


class Footer(msgspec.Struct, frozen=True):
    """What stands below every message: lines of text, then links."""

    lines: tuple[str, ...] = ()
    links: tuple[FooterLink, ...] = ()

    @property
    def text(self) -> str:
        """Return it as plain text; empty where there is nothing."""
        return "\n".join([*self.lines, *(f"{one.text}: {one.address}" for one in self.links)])


class Brand(msgspec.Struct, frozen=True):
    """A brand as templates see it; ``sender_name`` is empty where none is set.

    ``name`` is that of the organisation, empty where there is none. ``is_set`` tells that it has a logo or colours.
    """

    name: str = ""
    is_set: bool = False
    logo: Logo | None = None
    colours: Colours = Colours()
    footer: Footer = Footer()
    sender_name: str = ""


NEUTRAL = Brand()


class Partial(msgspec.Struct, frozen=True):
    """A partial or layout of the service, under the name by which templates include, import or extend it."""

    name: str
    format: Format
    source: str


class Surroundings(msgspec.Struct, frozen=True, cache_hash=True):
    """What a template sees besides its fields: whose message it is, and of which installation.

    ``environment`` is the installation's name, ``production`` tells whether what it sends is meant. ``brand`` is the
    service's, or its organisation's.
    """

    service: str = ""
    environment: str = ""
    production: bool = False
    base_url: str = ""
    brand: Brand = NEUTRAL

    def variables(self) -> Mapping[str, object]:
        """Return them under the names that templates know; a service without an organisation stands for itself."""
        return _variables(self)


@lru_cache(maxsize=1024)
def _variables(around: Surroundings) -> Mapping[str, object]:
    """Write them as plain data, once for many messages: no template can change it."""
    brand: dict[str, object] = msgspec.to_builtins(around.brand)
    return {
        "environment": {"name": around.environment, "production": around.production},
        "service": {"name": around.service},
        "base_url": around.base_url,
        "brand": brand | {"name": around.brand.sender_name or around.brand.name or around.service},
    }


NOWHERE = Surroundings()
SURROUNDINGS = frozenset(NOWHERE.variables())


class Source(msgspec.Struct, frozen=True, cache_hash=True):
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


# What passes between this process and the children that render: plain data both ways.
#
# Questions go out with ``marshal``, which is quick and keeps every JSON value as it is; what comes back from a child is
# read as typed MessagePack, for a child that strangers work in is not believed more than that.


class Task(msgspec.Struct, frozen=True):
    """One thing to do with one job: ``check`` takes the fields as a sample, of which there may be none."""

    deed: Deed
    job: RenderJob


class Opening(msgspec.Struct, frozen=True):
    """What begins a conversation: the seconds that each template may run, and the sources of all tasks to come."""

    seconds: float
    sources: list[Source]


class Refusal(msgspec.Struct, frozen=True):
    """A problem on its way."""

    code: str
    detail: str
    errors: list[FieldError]


class Outcome(msgspec.Struct, frozen=True):
    """What came of a task: a message, warnings, or why there is none."""

    rendered: Rendered | None = None
    warnings: list[TemplateWarning] = []
    refusal: Refusal | None = None

    @property
    def problem(self) -> Problem | None:
        """Return the problem, if there was one."""
        told = self.refusal
        return Problem(told.code, told.detail, errors=told.errors) if told else None


class Unsendable(Exception):
    """The fields hold what JSON has not."""


# Under which code of the error catalogue a fault of the template is told.
CODES: dict[Deed, str] = {
    "render": "template_arguments",
    "preview": "template_arguments",
    "check": "invalid_template",
}
_OPENING_LENGTH = 2
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Outcome)


def refused(problem: Problem) -> Outcome:
    """Put a problem into an outcome."""
    return Outcome(refusal=Refusal(problem.code, problem.detail, list(problem.errors)))


def questions(tasks: Sequence[Task], seconds: float) -> list[bytes]:
    """Write the questions for one child: first the time that a template may run, and each source once; then the tasks.

    Raises:
        Unsendable: if the fields are no plain data.
    """
    sources: dict[Source, int] = {}
    asked: list[bytes] = []
    for task in tasks:
        job = task.job
        number = sources.setdefault(job.source, len(sources))
        parts = (job.fields, job.batch, job.want_html, job.want_text, job.subject)
        told: Any = (task.deed, number, job.key, *parts, msgspec.to_builtins(job.memory))
        try:
            asked.append(marshal.dumps(told))
        except ValueError:
            raise Unsendable from None
    opening = (seconds, msgspec.to_builtins(list(sources)))
    return [marshal.dumps(opening), *asked]


def read(question: bytes, sources: Sequence[Source]) -> Opening | Task:
    """Read a question, whose source is among those that the opening gave."""
    content: Any = marshal.loads(question)  # noqa: S302 - written by the process that started this one
    if len(content) == _OPENING_LENGTH:
        seconds, given = content
        return Opening(seconds, msgspec.convert(given, list[Source]))
    deed, number, key, fields, batch, want_html, want_text, subject, memory = content
    known = msgspec.convert(memory, Memory | None)
    return Task(deed, RenderJob(key, sources[number], fields, batch, want_html, want_text, subject, known))


def encoded(outcome: Outcome) -> bytes:
    """Write an outcome; raises UnicodeEncodeError for half of a character."""
    return _ENCODER.encode(outcome)


def decoded(answer: bytes) -> Outcome:
    """Read an outcome; raises msgspec.MsgspecError for anything else."""
    return _DECODER.decode(answer)
