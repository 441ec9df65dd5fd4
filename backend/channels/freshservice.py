"""Tickets in Freshservice (API v2): one for each message, or a note on the open ticket of what belongs together."""

import html
from collections.abc import Sequence
from urllib.parse import quote

import lxml.html
import msgspec
from lxml import etree

from backend.channels import form_data, http_outcomes
from backend.channels.attachments import Attachment
from backend.channels.base import Channel, Message, Outcome, ProviderError, Receipt
from backend.channels.http_account import HttpAccount, basic
from backend.channels.provider_address import base_address, host_port, parse, provider_name, required
from backend.lib.outbound import Answer

_OPEN = {2, 3}  # open and pending; 4 is resolved, 5 closed
_LOW, _HIGH = 1, 3
_PORTAL = 2  # the vendor's default source
_TEXTS = {"type", "category", "sub_category", "item_category"}  # the options that are not numbers
_SUBJECT_LENGTH = 255
_LEFT_OUT = ("head", "style", "script", "title", "meta", "link", "base", "template")


class _Ticket(msgspec.Struct):
    id: int
    status: int = 0


class _OneTicket(msgspec.Struct):
    ticket: _Ticket


class _Tickets(msgspec.Struct):
    tickets: list[_Ticket]


class _Note(msgspec.Struct):
    id: int
    body: str = ""


class _OneNote(msgspec.Struct):
    conversation: _Note


class _Notes(msgspec.Struct):
    conversations: list[_Note]


class _Fault(msgspec.Struct):
    field: str = ""
    message: str = ""
    code: str = ""


class _Refusal(msgspec.Struct):
    description: str = ""
    message: str = ""
    code: str = ""
    errors: list[_Fault] = []

    def words(self) -> str:
        """Say in one line what the service desk says."""
        faults = [f"{one.field}: {one.message}" if one.field else one.message for one in self.errors[:5]]
        return "; ".join(part for part in (self.description or self.message, *faults) if part)


class FreshserviceProvider:
    """A service desk, given as ``freshservice://KEY@acme.freshservice.com``. Raises ``ValueError`` without a secret."""

    channel = Channel.FRESHSERVICE

    def __init__(self, address: str, timeout: float = http_outcomes.TIMEOUT) -> None:
        parts = parse(address, {"scheme"})
        key = required(parts.user, "an API key")
        self._account = HttpAccount(
            base=base_address(parts), authorization=basic(key, "X"), secrets=(key,), timeout=timeout
        )
        self.name = provider_name("freshservice", host_port(parts.host, parts.port), key)

    def __repr__(self) -> str:
        return f"FreshserviceProvider({self.name!r})"

    def open(self) -> "FreshserviceConnection":
        """Return a connection for one thread."""
        return FreshserviceConnection(self._account)

    def describe(self) -> str:
        """Return one line for operators, without secrets."""
        return f"{self.name} with an API key"


class FreshserviceConnection:
    """The way to a service desk; its connections are those of the thread."""

    def __init__(self, account: HttpAccount) -> None:
        self._account = account

    def send(self, message: Message) -> Receipt:
        """Make a ticket, or add a note to the open one of the message's thread. Raises ``ProviderError``."""
        email, options = _read(message.address)
        continues = message.last_word or options.get("thread") != "off"
        if message.thread and continues and self._takes_note(message, message.thread):
            return self._add_note(message, message.thread)
        answer = self._post("/api/v2/tickets", _ticket(message, email, options), message.attachments)
        made = http_outcomes.decoded(self._taken(answer), _OneTicket)
        if made is None:
            raise http_outcomes.unreadable(answer)
        return _receipt(str(made.ticket.id), "ticket")

    def find(self, message: Message) -> Receipt | None:
        """Return the ticket that bears the message's tag, or whose note bears it. Raises ``ProviderError``."""
        query = quote(f"\"tag:'{tag(message)}'\"", safe="")
        found = http_outcomes.decoded(self._asked(f"/api/v2/tickets/filter?query={query}"), _Tickets)
        if found is None:
            raise ProviderError(Outcome.RETRY, "the service desk did not answer with a list of tickets")
        if found.tickets:
            return _receipt(str(found.tickets[0].id), "ticket")
        if message.thread is None or not message.thread.isdecimal():
            return None
        path = f"/api/v2/tickets/{message.thread}/conversations?per_page=100"
        notes = http_outcomes.decoded(self._asked(path), _Notes)
        if notes and any(tag(message) in note.body for note in notes.conversations):
            return _receipt(message.thread, "note on ticket")
        return None

    def close(self) -> None:
        """Do nothing: the connections belong to the thread."""

    def _takes_note(self, message: Message, number: str) -> bool:
        """Tell whether a message goes to a ticket as a note: that is open, or the message the last word on it.

        A ticket that is gone takes none.
        """
        if not number.isdecimal():
            return False
        answer = self._asked(f"/api/v2/tickets/{number}", or_missing=True)
        if answer.status == 404:
            return False
        read = http_outcomes.decoded(answer, _OneTicket)
        if read is None:
            raise ProviderError(Outcome.RETRY, f"the service desk did not answer with its ticket {number}")
        return message.last_word or read.ticket.status in _OPEN

    def _add_note(self, message: Message, number: str) -> Receipt:
        subject = f"<p><strong>{html.escape(message.subject)}</strong></p>" if message.subject else ""
        body = f"{subject}{description(message)}<p><small>{tag(message)}</small></p>"
        note: dict[str, object] = {"body": body, "private": False}
        answer = self._post(f"/api/v2/tickets/{number}/notes", note, message.attachments)
        if http_outcomes.decoded(self._taken(answer), _OneNote) is None:
            raise http_outcomes.unreadable(answer)
        return _receipt(number, "note on ticket")

    def _post(self, path: str, members: dict[str, object], files: Sequence[Attachment]) -> Answer:
        """Send members as JSON, or with files as a form, which is what takes these."""
        if not files:
            return self._account.call("POST", path, msgspec.json.encode(members))
        body, content_type = form_data.encode(members, [("attachments[]", file) for file in files])
        return self._account.call("POST", path, body, content_type)

    def _asked(self, path: str, *, or_missing: bool = False) -> Answer:
        """Read something; where that fails nothing is of unknown outcome, since reading changes nothing."""
        try:
            answer = self._account.call("GET", path, None)
            return answer if or_missing and answer.status == 404 else self._taken(answer)
        except ProviderError as error:
            if error.outcome in {Outcome.AMBIGUOUS, Outcome.PERMANENT}:
                error.outcome = Outcome.RETRY
            raise

    def _taken(self, answer: Answer) -> Answer:
        if http_outcomes.is_accepted(answer):
            return answer
        said = http_outcomes.decoded(answer, _Refusal) or _Refusal()
        raise http_outcomes.refused(answer, said.words(), code=said.code or None, secrets=self._account.secrets)


def _receipt(number: str, what: str) -> Receipt:
    """Answer for a ticket, which what belongs to it is added to from now on."""
    return Receipt(number, f"{what} {number}", thread=number)


def tag(message: Message) -> str:
    """Return the tag by which a message's ticket is known again: its delivery's id, in the 32 characters of a tag.

    Raises ``ProviderError`` if it is no UUID.
    """
    found = message.delivery_id.replace("-", "")
    if not found.isalnum():
        raise ProviderError(Outcome.PERMANENT, "the delivery id is not a UUID")
    return found


def description(message: Message) -> str:
    """Return the message as HTML for a ticket: the body of its own HTML, or its text."""
    if message.html is None:
        return "<div>" + html.escape(message.text.strip("\n")).replace("\n", "<br>") + "</div>"
    try:
        root = lxml.html.document_fromstring(message.html)
    except (etree.ParserError, ValueError):
        return "<div></div>"
    etree.strip_elements(root, etree.Comment, etree.ProcessingInstruction, *_LEFT_OUT, with_tail=False)
    body = root.find("body")
    inner = html.escape(body.text or "") if body is not None else ""
    return inner + "".join(
        lxml.html.tostring(child, encoding="unicode") for child in (body if body is not None else [])
    )


def _read(address: str) -> tuple[str, dict[str, str]]:
    if not address.isprintable():
        raise ProviderError(Outcome.PERMANENT, "the address contains a control character")
    email, *given = address.split(";")
    return email, dict(option.split("=", 1) for option in given)


def _ticket(message: Message, email: str, options: dict[str, str]) -> dict[str, object]:
    fields: dict[str, object] = {
        "email": email,
        "subject": " ".join((message.subject or "").split())[:_SUBJECT_LENGTH],
        "description": description(message),
        "status": 2,
        "priority": _HIGH if message.urgent else _LOW,
        "source": _PORTAL,
        "tags": [tag(message)],
    }
    for name, value in options.items():
        if name != "thread":
            fields[name] = value if name in _TEXTS else int(value)
    return fields
