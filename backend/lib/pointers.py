"""JSON pointers in words, as people read them, where programs read JSON pointers (RFC 6901)."""

import re
from collections.abc import Sequence

from backend.lib.problems import FieldError

# What one entry of these arrays is called.
_ENTRIES = {
    "channels": "channel",
    "recipient": "recipient",
    "recipients": "recipient",
    "endpoints": "endpoint",
    "notifications": "notification",
}
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
# Below these stands what the client has named itself.
_FREE = frozenset({"fields", "sample_fields"})
_PLAIN = re.compile(r"[a-z][a-z0-9_]{0,39}")
_NAMES_A_MEMBER = frozenset({"missing_member", "unknown_member"})
# Of a deeper place its beginning and its end are enough to find it.
_MOST_PARTS, _OUTER, _INNER = 7, 4, 2
_LONGEST_NAME = 80


def ordinal(index: int) -> str:
    """Return the ordinal of an index that counts from 0: first, second, … tenth, 11th."""
    if index < len(_ORDINALS):
        return _ORDINALS[index]
    number = index + 1
    ending = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def in_words(pointer: str) -> str:
    """Write a pointer in words: ``/channels/0/type`` is the type of the first channel."""
    names = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    parts: list[str] = []
    is_free = False
    for before, name in zip(["", *names], names, strict=False):
        if name.isascii() and name.isdigit() and len(name) < 10 and before:
            entry = "entry" if is_free else _ENTRIES.get(before, "entry")
            if entry != "entry":
                parts.pop()
            parts.append(f"the {ordinal(int(name))} {entry}")
        else:
            known = not is_free and _PLAIN.fullmatch(name)
            parts.append(f"the {name}" if known else f"the member {name[:_LONGEST_NAME]!r}")
        is_free = is_free or name in _FREE
    if len(parts) > _MOST_PARTS:
        parts = [*parts[:_OUTER], "something deep within it", *parts[-_INNER:]]
    return " of ".join(reversed(parts)) or "the body"


def sentence(error: FieldError) -> str:
    """Say a fault together with its place, without a full stop."""
    said = error.detail.rstrip(".")
    if error.code in _NAMES_A_MEMBER:
        around = error.pointer.rpartition("/")[0]
        return f"{said}, in {in_words(around)}" if around else said
    if said.startswith("Must "):
        return f"{in_words(error.pointer)} m{said[1:]}"
    return f"at {in_words(error.pointer)}: {said}"


def fault_first(error: FieldError) -> str:
    """Say a fault as a person wants it: what is wrong, and its place only where the fault alone does not tell it."""
    if error.code in _NAMES_A_MEMBER or error.detail.startswith("Must "):
        said = sentence(error)
        return f"{said[:1].upper()}{said[1:]}."
    return error.detail


def refusal(detail: str, errors: Sequence[FieldError]) -> str:
    """Say why a request was refused: its first fault and how many there are; without any, ``detail``."""
    if not errors:
        return detail
    more = f" There are {len(errors)} faults in all." if len(errors) > 1 else ""
    return f"{fault_first(errors[0])}{more}"
