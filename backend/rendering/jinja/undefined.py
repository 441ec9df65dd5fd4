"""What a template gets for a member that is not there: false where it is asked for, a fault where it is printed."""

from collections.abc import Iterator
from typing import Any

from jinja2 import Undefined
from jinja2.environment import TemplateModule
from jinja2.exceptions import TemplateRuntimeError, UndefinedError
from jinja2.runtime import TemplateReference
from jinja2.utils import missing

from backend.rendering.faults import MissingVariable
from backend.rendering.jinja.runtime_phrases import kind
from backend.rendering.jinja.suggestions import near, one_word

_NEAR = 0.75
# What Jinja itself gives in some places.
_ELSEWHERE = {
    "caller": "'caller' is for macros that are used by {% call %}",
    "loop": "'loop' is for the inside of a loop, between {% for %} and {% endfor %}",
    "super": "'super' is for blocks of a template that extends a layout",
}


class MissingField(Undefined):
    """Jinja's undefined, which can be asked, but neither printed nor looped over: it is false and holds nothing.

    What is looked up in it is the same missing member again, so that a fault names the first one. Its message is for
    people who know their fields, not Python.
    """

    __slots__ = ()

    def __init__(
        self,
        hint: str | None = None,
        obj: Any = missing,
        name: str | None = None,
        exc: type[TemplateRuntimeError] = UndefinedError,
    ) -> None:
        variable = obj is missing and hint is None and exc is UndefinedError and name not in _ELSEWHERE
        super().__init__(hint, obj, name, MissingVariable if variable else exc)

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
        match owner:
            case _ if owner is missing:
                said = _ELSEWHERE.get(str(name)) or f"the field '{name}' is missing"
            case dict():
                said = _not_in_mapping(name, owner)
            case list() | tuple():
                said = _not_in_list(name, owner)
            case TemplateReference():
                said = f"there is no block '{name}'"
            case TemplateModule():
                said = f"'{owner.__name__}' has no macro '{name}'{near(str(name), vars(owner), _NEAR)}"
            case _:
                what = f"item {name}" if isinstance(name, int) else f"field '{name}'"
                asked = "; ask for it first by {% if … %}" if owner is None else ""
                said = f"{kind(type(owner).__name__)} has no {what}{asked}"
        return said


def _not_in_mapping(name: object, owner: dict[object, object]) -> str:
    names = [key for key in owner if isinstance(key, str)]
    if isinstance(name, int):
        if str(name) in owner:
            return f'there is no item {name}; a name of digits is written ["{name}"]'
        return f'a mapping of names has no item {name}; take its members by their names, as in fields["name"]'
    meant = one_word(str(name), names)
    said = f'; write ["{meant}"] in place of .{name}' if meant else near(str(name), names, _NEAR)
    return f"the field '{name}' is missing{said}"


def _not_in_list(name: object, owner: list[object] | tuple[object, ...]) -> str:
    if isinstance(name, int):
        first = ", of which the first is number 0" if name == len(owner) and owner else ""
        return f"the list has no item {name}; it has {len(owner)}{first}"
    return f"a list has no field '{name}'; loop over it or take one item"
