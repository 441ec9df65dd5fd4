"""Letters: an A4 PDF for each, with a manifest beside it, in the spool folder from which they are printed."""

import hashlib
import logging
import socket
from base64 import b64decode
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any, Literal

import msgspec

from backend.channels import postal, spooled_files
from backend.channels.base import Channel, Message, Outcome, ProviderError, Receipt, Register, Scope
from backend.lib import clock
from backend.lib.child import ChildFailed, Children

logger = logging.getLogger(__name__)

_SECONDS = 20.0
_PICTURE_SECONDS = 5.0
_MAX_HTML = 4 * 1024 * 1024
_AS_TEXT = "font: inherit; white-space: pre-wrap; margin: 0"
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
    """A folder, ``letters`` in the data directory, with one folder a day (UTC).

    Each folder has a name, kept in it. The register says which letters are in another machine's folder, so that none
    is printed twice, whichever machine tries it again.
    """

    channel = Channel.LETTER
    name = "letter-spool"
    repeatable: Literal[True] = True  # by the delivery's id, which names its files

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._register: Register | None = None

    def share(self, register: Register) -> None:
        """Ask this register from now on."""
        self._register = register

    def open(self) -> "LetterConnection":
        """Return a connection for one thread."""
        return LetterConnection(self._folder, self._register)

    def describe(self) -> str:
        """Return one line for operators."""
        return "the print spool in the data directory"

    def tidy(self, before: datetime) -> int:
        """Delete letters of days that ended before a moment, and reconcile what a stopped worker has begun on."""
        if not self._folder.is_dir():
            return 0
        if self._register is not None:
            self._reconcile(self._register)
        return spooled_files.delete(self._folder, before)

    def _reconcile(self, register: Register) -> None:
        holder = spooled_files.name_of(self._folder)
        for delivery_id in register.unfinished(holder):
            there = spooled_files.manifest(self._folder, delivery_id)
            if there is None:
                register.release(delivery_id, holder)
            else:
                register.end(delivery_id, holder, _location(there), _read(there).pages)


class LetterConnection:
    """The way to the spool folder."""

    def __init__(self, folder: Path, register: Register | None = None) -> None:
        self._folder = folder
        self._register = register

    def send(self, message: Message) -> Receipt:
        """Lay a letter out and put it into the folder; one that is there already, or in another's, stays as it is.

        Raises ``ProviderError``.
        """
        if not message.delivery_id.replace("-", "").isalnum():
            raise ProviderError(Outcome.PERMANENT, "the delivery id is not a UUID")
        try:
            there = spooled_files.manifest(self._folder, message.delivery_id)
            if there is not None:
                return self._receipt(there)
            laid_out = _lay_out(message)
            return self._begun(message) or self._put(message, laid_out, clock.now())
        except OSError as error:
            detail = f"the spool folder cannot be written: {error.strerror or error or type(error).__name__}"
            raise ProviderError(Outcome.CONFIG, detail, scope=Scope.SERVER) from None

    def close(self) -> None:
        """Do nothing: nothing is open."""

    def _begun(self, message: Message) -> Receipt | None:
        """Begin on a letter for all machines to see; return the receipt if it is in some folder already."""
        if self._register is None:
            return None
        holder = spooled_files.name_of(self._folder)
        begun = self._register.begin(message.delivery_id, holder)
        if begun.receipt is None and begun.holder != holder:
            detail = f"the worker on {begun.machine} has begun on this letter and not said yet that it is spooled"
            raise ProviderError(Outcome.RETRY, detail)
        return begun.receipt

    def _put(self, message: Message, laid_out: dict[str, Any], now: datetime) -> Receipt:
        day = self._folder / now.strftime("%Y-%m-%d")
        day.mkdir(mode=0o700, parents=True, exist_ok=True)
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
        spooled_files.write(day / manifest.pdf, pdf)
        path = day / f"{message.delivery_id}.json"
        spooled_files.write(path, msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
        self._end(message, path, manifest.pages)
        return self._receipt(path)

    def _receipt(self, manifest: Path) -> Receipt:
        try:
            pages = _read(manifest).pages
        except msgspec.MsgspecError:
            raise ProviderError(Outcome.CONFIG, "the letter's manifest in the spool folder cannot be read") from None
        return receipt(_location(manifest), pages, socket.gethostname() if self._register else "")

    def _end(self, message: Message, path: Path, pages: int) -> None:
        """Write down that a letter is spooled; one that was taken over, for its worker was silent for long, goes."""
        if self._register is None:
            return
        holder = spooled_files.name_of(self._folder)
        try:
            kept = self._register.end(message.delivery_id, holder, _location(path), pages)
        except OSError as error:
            logger.warning("A letter is spooled, which could not be written down yet: %s", error)
            return  # the manifest tells this machine, which writes it down when it tidies up
        if not kept:
            path.unlink()
            raise ProviderError(Outcome.RETRY, "another machine's worker has taken this letter over")


def _location(manifest: Path) -> str:
    return f"{manifest.parent.name}/{manifest.stem}"


def _read(manifest: Path) -> Manifest:
    return msgspec.json.decode(manifest.read_bytes(), type=Manifest)


def receipt(location: str, pages: int, machine: str) -> Receipt:
    """Say where a letter is: ``location`` is the day and the delivery's id, ``machine`` may be empty."""
    where = f" on {machine}" if machine else ""
    return Receipt(location, f"spooled{where} as {location}.pdf, {pages} page{'s' if pages != 1 else ''}")


def _lay_out(message: Message) -> dict[str, Any]:
    html = content(message.html, message.text)
    if len(html) > _MAX_HTML:
        raise ProviderError(Outcome.PERMANENT, f"the letter cannot be made: its HTML is over {_MAX_HTML} characters")
    question = {
        "html": html,
        "lines": postal.lines(message.address),
        "title": message.subject or "",
    }
    laid_out = _asked(question)
    if "fault" in laid_out:
        raise ProviderError(Outcome.PERMANENT, f"the letter cannot be made: {laid_out['fault']}")
    if "no_fonts" in laid_out:
        raise ProviderError(Outcome.CONFIG, "letters need fonts: this machine has none installed", scope=Scope.SERVER)
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


def content(html: str | None, text: str) -> str:
    """Return the HTML that a letter is made of."""
    return html if html is not None else f'<pre style="{_AS_TEXT}">{escape(text)}</pre>'


def first_page(content: str, lines: list[str]) -> bytes | str:
    """Return a picture (PNG) of the first page of a letter to the address ``lines``, or why there is none."""
    if len(content) > _MAX_HTML:
        return f"The letter cannot be made: its HTML is over {_MAX_HTML} characters."
    try:
        drawn = _children.ask({"html": content, "lines": lines, "title": "", "picture": True}, _PICTURE_SECONDS)
    except ChildFailed as error:
        took = f"takes more than {_PICTURE_SECONDS:.0f} seconds" if error.timed_out else "stops the engine"
        return f"The letter cannot be shown: laying it out {took}."
    return b64decode(drawn["png"]) if "png" in drawn else f"The letter cannot be made: {drawn['fault']}."
