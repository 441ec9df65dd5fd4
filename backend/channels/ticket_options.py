"""The options of a Freshservice ticket as an address has them: ``alerts@lab.example;group_id=42;priority=2``.

Numbers and their meanings are those of Freshservice's API v2 for tickets.
"""

import re
from collections.abc import Callable, Mapping

import msgspec

_WHOLE = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_LONGEST_NAME = 80


class TicketOption(msgspec.Struct, frozen=True):
    """One option: its ``label`` for people, and what a value is; ``choices`` pairs values with words, if few fit.

    ``usual`` says what becomes of a ticket without it.
    """

    name: str
    label: str
    wanted: str
    choices: tuple[tuple[str, str], ...] = ()
    is_number: bool = False
    usual: str = "none"

    def read(self, text: str) -> str | None:
        """Return the value in canonical form; None for what is none."""
        if self.choices:
            return next((value for value, _ in self.choices if value.lower() == text.lower()), None)
        if self.is_number:
            return text if _WHOLE.fullmatch(text) else None
        return text if text and text.isprintable() and len(text) <= _LONGEST_NAME else None


def _numbered(*words: str, first: int = 1) -> tuple[tuple[str, str], ...]:
    return tuple((str(number), word) for number, word in enumerate(words, start=first))


_SOURCES = (
    *_numbered("Email", "Portal", "Phone", "Chat", "Feedback widget", "Yammer", "AWS CloudWatch", "PagerDuty"),
    *_numbered("Walk-up", "Slack", "Chatbot", "Workplace", "Employee onboarding", "Alerts", "MS Teams", first=9),
    ("18", "Employee offboarding"),
)
_NUMBER, _NAME = "a whole number", "a name of at most 80 characters"
_STATUSES = _numbered("Open", "Pending", "Resolved", "Closed", first=2)
_THREADS = (("on", "Notes on one ticket"), ("off", "A ticket each"))
_LEVELS = _numbered("Low", "Medium", "High")
_URGENT = (*_LEVELS, ("4", "Urgent"))
_ALL = (
    TicketOption("group_id", "Agent group, by its number", _NUMBER, is_number=True),
    TicketOption("priority", "Priority", "1 (low) to 4 (urgent)", _URGENT, usual="low, high for urgent messages"),
    TicketOption("status", "Status", "2 (open) to 5 (closed)", _STATUSES, usual="open"),
    TicketOption("type", "Type", "Incident", (("Incident", "Incident"),)),
    TicketOption("workspace_id", "Workspace, by its number", _NUMBER, is_number=True),
    TicketOption("source", "Source", "1 to 15, or 18", _SOURCES, usual="portal"),
    TicketOption("urgency", "Urgency", "1 (low) to 3 (high)", _LEVELS),
    TicketOption("impact", "Impact", "1 (low) to 3 (high)", _LEVELS),
    TicketOption("responder_id", "Agent, by their number", _NUMBER, is_number=True),
    TicketOption("department_id", "Department, by its number", _NUMBER, is_number=True),
    TicketOption("category", "Category", _NAME),
    TicketOption("sub_category", "Sub-category", _NAME),
    TicketOption("item_category", "Item category", _NAME),
    TicketOption("thread", "What belongs together", "on or off", _THREADS, usual="notes on one ticket"),
)
# In canonical order.
OPTIONS: Mapping[str, TicketOption] = {one.name: one for one in _ALL}


def split(address: str) -> tuple[str, dict[str, str]]:
    """Part an address, right or wrong, into the requester and its known options; what is no such stays with the former.

    Of an option that is given twice the second stays too, so that nothing that was written is lost.
    """
    requester, *given = (part.strip(" \t") for part in address.split(";"))
    options: dict[str, str] = {}
    rest = [requester]
    for option in given:
        name, separator, text = option.partition("=")
        if separator and name in OPTIONS and name not in options:
            options[name] = text
        else:
            rest.append(option)
    return ";".join(rest), options


def join(requester: str, options: Mapping[str, str]) -> str:
    """Write an address with those options that have a value, in canonical order."""
    return ";".join([requester, *(f"{name}={options[name]}" for name in OPTIONS if options.get(name))])


def canonical(address: str, email: Callable[[str], str], refusal: Callable[[str], Exception]) -> str:
    """Return an address in canonical form; ``email`` reads the requester's, and raises what it says of a bad one.

    Raises:
        Exception: the ``refusal`` made of the reason.
    """
    requester, *given = (part.strip(" \t") for part in address.split(";"))
    mailbox = email(requester)
    values: dict[str, str] = {}
    for one in given:
        name, _, text = one.partition("=")
        option = OPTIONS.get(name)
        if option is None:
            raise refusal(f"the options it may have are {', '.join(OPTIONS)}")
        if name in values:
            raise refusal(f"this one gives {name} twice")
        value = option.read(text)
        if value is None:
            raise refusal(f"{name} is {option.wanted}")
        values[name] = value
    return join(mailbox, values)
