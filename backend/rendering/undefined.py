"""What a template gets for a member that is not there: false where it is asked for, a fault where it is printed."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from jinja2 import Undefined
from jinja2.exceptions import UndefinedError
from jinja2.utils import missing

_KINDS = {"str": "a text", "int": "a number", "float": "a number", "bool": "a truth value", "NoneType": "null"}


class MissingField(Undefined):
    """Jinja's undefined, which can be asked, but neither printed nor looped over: it is false and holds nothing.

    What is looked up in it is the same missing member again, so that a fault names the first one. Its message is for
    people who know their fields, not Python.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __getitem__(self, _: object) -> Any:
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MissingField)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return id(MissingField)

    def __contains__(self, _: object) -> bool:
        return False

    def __str__(self) -> str:
        if self._is_nothing:
            return ""
        return str(self._fail_with_undefined_error())

    __repr__ = __str__  # as a part of a list it would be printed too

    def __iter__(self) -> Iterator[Any]:
        return iter(self._fail_with_undefined_error())

    def __len__(self) -> int:
        return len(self._fail_with_undefined_error())

    @property
    def _is_nothing(self) -> bool:
        """Say whether no member is missing: the least item of none, or an argument that a macro was not given."""
        hint = self._undefined_hint
        return (
            hint is not None
            and self._undefined_exception is UndefinedError
            and (self._undefined_name is None or hint.startswith("parameter "))
        )

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        name: object = self._undefined_name  # an index where a list was asked
        owner = self._undefined_obj
        if owner is missing:
            return f"the field '{name}' is missing"
        if isinstance(owner, dict):
            return f"the field '{name}' is missing{_suggestion(str(name), owner)}"
        if isinstance(owner, (list, tuple)):
            if isinstance(name, int):
                return f"the list has no item {name}; it has {len(owner)}"
            return f"a list has no field '{name}'; loop over it or take one item"
        kind = _KINDS.get(type(owner).__name__, "this value")
        return f"{kind} has no field '{name}'"


def _suggestion(name: str, owner: dict[object, object]) -> str:
    names = [key for key in owner if isinstance(key, str)][:200]
    close = get_close_matches(name[:100], names, n=1, cutoff=0.75)
    return f"; did you mean '{close[0]}'?" if close else ""
