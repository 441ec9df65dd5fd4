"""Letters: an A4 PDF for each, with a manifest beside it, in the spool folder from which they are printed."""

import contextlib
import hashlib
import html
import os
from base64 import b64decode
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from backend.channels import postal
from backend.channels.base import Channel, Message, Outcome, ProviderError, Receipt
from backend.lib import clock
from backend.lib.child import ChildFailed, Children

_SECONDS = 20.0
_MAX_HTML = 4 * 1024 * 1024
_children = Children("backend.channels.letter_child")


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What stands beside a PDF, as ``<delivery id>.json``; its presence says that the PDF is whole.

    ``service`` is the number of the service that sent it, ``sha256`` that of the PDF in hexadecimal digits.
    """

    delivery_id: str
    service: int | None
    address: list[str]
    subject: str | None
    pdf: str
    pages: int
    sha256: str
    created: datetime


class LetterSpool:
    """A folder, ``letters`` in the data directory, with one folder a day (UTC)."""

    channel = Channel.LETTER
    name = "letter-spool"
    repeatable: Literal[True] = True  # by the delivery's id, which names its files

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self) -> "LetterConnection":
        """Return a connection for one thread."""
        return LetterConnection(self._folder)

    def describe(self) -> str:
        """Return one line for operators."""
        return "the print spool in the data directory"


class LetterConnection:
    """The way to the spool folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, message: Message) -> Receipt:
        """Lay a letter out and put it into the folder; one that is there already stays as it is.

        Raises ``ProviderError``.
        """
        try:
            there = self._there(message.delivery_id)
            if there is not None:
                return _receipt(there)
            return _receipt(self._put(message, _lay_out(message), clock.now()))
        except OSError as error:
            detail = f"the spool folder cannot be written: {error.strerror or type(error).__name__}"
            raise ProviderError(Outcome.CONFIG, detail, route_down=True) from None

    def close(self) -> None:
        """Do nothing: nothing is open."""

    def _there(self, delivery_id: str) -> Path | None:
        """Return the manifest of a letter that an attempt before has put down, on whatever day."""
        if not delivery_id.replace("-", "").isalnum():
            raise ProviderError(Outcome.PERMANENT, "the delivery id is not a UUID")
        if not self._folder.is_dir():
            return None
        days = (Path(entry.path) for entry in os.scandir(self._folder) if entry.is_dir())
        return next((path for day in days if (path := day / f"{delivery_id}.json").is_file()), None)

    def _put(self, message: Message, laid_out: dict[str, Any], now: datetime) -> Path:
        day = self._folder / now.strftime("%Y-%m-%d")
        day.mkdir(mode=0o750, parents=True, exist_ok=True)
        pdf = b64decode(laid_out["pdf"])
        manifest = Manifest(
            delivery_id=message.delivery_id,
            service=message.service_id,
            address=postal.lines(message.address),
            subject=message.subject,
            pdf=f"{message.delivery_id}.pdf",
            pages=laid_out["pages"],
            sha256=hashlib.sha256(pdf).hexdigest(),
            created=now,
        )
        # A PDF without a manifest is what a worker left that was stopped here, and nobody has printed.
        _write(day / manifest.pdf, pdf)
        path = day / f"{message.delivery_id}.json"
        _write(path, msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
        return path


def _receipt(manifest: Path) -> Receipt:
    try:
        pages = msgspec.json.decode(manifest.read_bytes(), type=Manifest).pages
    except msgspec.MsgspecError:
        raise ProviderError(Outcome.CONFIG, "the letter's manifest in the spool folder cannot be read") from None
    place = f"{manifest.parent.name}/{manifest.stem}"
    return Receipt(place, f"spooled as {place}.pdf, {pages} page{'s' if pages != 1 else ''}")


def _write(path: Path, content: bytes) -> None:
    """Write a file that is there with all its content or not at all, also when the machine goes down."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _lay_out(message: Message) -> dict[str, Any]:
    content = message.html if message.html is not None else _page_of_text(message.text)
    if len(content) > _MAX_HTML:
        raise ProviderError(Outcome.PERMANENT, f"the letter cannot be made: its HTML is over {_MAX_HTML} characters")
    question = {
        "html": content,
        "lines": postal.lines(message.address),
        "title": message.subject or "",
    }
    laid_out = _asked(question)
    if "fault" in laid_out:
        raise ProviderError(Outcome.PERMANENT, f"the letter cannot be made: {laid_out['fault']}")
    if "no_fonts" in laid_out:
        raise ProviderError(Outcome.CONFIG, "letters need fonts: this machine has none installed", route_down=True)
    return laid_out


def _asked(question: dict[str, Any]) -> dict[str, Any]:
    """Ask a child, and once more if it stopped: what stops two of them is the letter's own doing."""
    for _ in range(2):
        try:
            return _children.ask(question, _SECONDS)
        except ChildFailed as error:
            if error.timed_out:
                detail = f"the letter cannot be made: laying it out takes more than {_SECONDS:.0f} seconds"
                raise ProviderError(Outcome.PERMANENT, detail) from None
    raise ProviderError(Outcome.PERMANENT, "the letter cannot be made: laying it out stops the engine")


def _page_of_text(text: str) -> str:
    return f'<pre style="font: inherit; white-space: pre-wrap; margin: 0">{html.escape(text)}</pre>'
