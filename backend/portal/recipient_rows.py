"""The form of a recipient as it was written: a name, an identifier, and a row for each address."""

import re
from collections.abc import Mapping, Sequence

import msgspec

from backend.channels import ticket_options
from backend.channels.addresses import masked
from backend.channels.base import Channel
from backend.registry.lookup import Address
from backend.registry.shapes import MAX_ENDPOINTS

ROW = re.compile(r"address-(\d{1,4})", re.ASCII)
_LONGEST_OPTION = 100


class Row(msgspec.Struct):
    """One address as it was written; an empty one is left out of what is stored.

    ``options`` are those of the fields of a ticket, by name.
    """

    type: str = Channel.EMAIL.value
    address: str = ""
    options: dict[str, str] = {}

    @property
    def empty(self) -> bool:
        """Tell whether nothing was written."""
        return not self.address.strip() and not any(self.options.values())

    @property
    def whole(self) -> str:
        """Return the address with the options that were given in their fields."""
        address = self.address.strip()
        return ticket_options.join(address, self.options) if self.is_ticket else address

    @property
    def is_ticket(self) -> bool:
        """Tell whether it has the fields of a ticket."""
        return self.type == Channel.FRESHSERVICE.value


class Written(msgspec.Struct):
    """A form as it was written; ``identifier`` is fixed once the recipient is there."""

    name: str = ""
    identifier: str = ""
    rows: list[Row] = []
    language: str = ""


def read(data: Mapping[str, str]) -> Written:
    """Read a form: name, identifier, and ``type-0``, ``address-0``, ``option-0-group_id``, ``type-1``, …"""
    row_numbers = sorted(int(found[1]) for name in data if (found := ROW.fullmatch(name)))
    rows = [
        _parted(Row(data.get(f"type-{one}", ""), data[f"address-{one}"], _options(data, one)))
        for one in row_numbers[: MAX_ENDPOINTS + 1]
    ]
    name, identifier, language = (data.get(one, "").strip() for one in ("name", "identifier", "language"))
    return Written(name, identifier, rows, language)


def stored(endpoints: Sequence[Address]) -> list[Row]:
    """Return the rows of a recipient that is there; addresses that are secrets are shown by their ends."""
    return [_parted(Row(one.type, masked(one.type, one.address))) for one in endpoints] or [Row()]


def _options(data: Mapping[str, str], workspace: int) -> dict[str, str]:
    if data.get(f"type-{workspace}") != Channel.FRESHSERVICE.value:
        return {}
    given = {
        name: data.get(f"option-{workspace}-{name}", "").strip()[:_LONGEST_OPTION] for name in ticket_options.OPTIONS
    }
    # What would end the option begins none: it is refused with the field.
    return {name: text for name, text in given.items() if text}


def _parted(row: Row) -> Row:
    """Bring options that were written into the address to their fields, where these are free."""
    if not row.is_ticket:
        return row
    address, written = ticket_options.split(row.address)
    free = {name: text for name, text in written.items() if name not in row.options}
    if free.keys() != written.keys():
        return row  # one is given twice: let it be said
    return Row(row.type, address, {**row.options, **free})
