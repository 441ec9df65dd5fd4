"""What a template gets for a field that is not there: a fault that names it, as soon as it is used."""

from difflib import get_close_matches

from jinja2 import StrictUndefined
from jinja2.utils import missing

_KINDS = {"str": "a text", "int": "a number", "float": "a number", "bool": "a truth value", "NoneType": "null"}


class MissingField(StrictUndefined):
    """Jinja's strict undefined with a message for people who know their fields, not Python."""

    __slots__ = ()

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
