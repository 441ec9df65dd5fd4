"""What enters and leaves the room: plain data only, so that it can cross into a bounded child process."""

from typing import Literal

import msgspec

Format = Literal["mjml", "html", "text", "markdown"]


class Source(msgspec.Struct, frozen=True):
    """A template as its author wrote it; ``subject`` is a Jinja template of one line."""

    format: Format
    source: str
    subject: str | None = None


class RenderJob(msgspec.Struct, frozen=True):
    """One message to render.

    ``key`` names the template version in the cache, such as ``tv:17``. ``fields`` is the JSON object of one
    notification, or, where ``batch`` is true, the list of the objects of all buffered notifications. Who uses only
    one part of the message can spare the other: the HTML is then absent, the text alternative of HTML empty.
    """

    key: str
    source: Source
    fields: object
    batch: bool = False
    want_html: bool = True
    want_text: bool = True


class Rendered(msgspec.Struct, frozen=True):
    """A rendered message; ``html`` is absent for plain text, ``markdown`` present for CommonMark only."""

    subject: str | None
    html: str | None
    text: str
    markdown: str | None = None


class TemplateWarning(msgspec.Struct, frozen=True):
    """Something that does not stop a template but that its author should look at; lines count from 1."""

    line: int | None
    code: str
    detail: str
