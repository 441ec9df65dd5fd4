"""What can be written in a template, for editors that suggest it: components, their attributes, and all of Jinja."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from backend.rendering.jinja.environments import ENVIRONMENTS, HTML
from backend.rendering.jinja.sandbox import GLOBALS
from backend.rendering.mjml.assembly import starters_partials
from backend.rendering.mjml.attributes import ATTRIBUTES, values
from backend.rendering.mjml.colours import NAMES
from backend.rendering.mjml.components import CHILDREN, ENDING, HOLDS_RAW, KNOWN
from backend.rendering.model import Brand, Footer, FooterLink, Logo, Surroundings

_STATEMENTS = (
    *("for", "endfor", "if", "elif", "else", "endif", "set", "endset", "block", "endblock", "extends", "include"),
    *("import", "from", "macro", "endmacro", "call", "endcall", "filter", "endfilter", "with", "endwith", "raw"),
    *("endraw", "autoescape", "endautoescape", "break", "continue", "do"),
)
_CLASS = re.compile(r'<mj-class name="([\w-]+)"')
_BRAND = Brand(logo=Logo("cid:", "", 0, 0), footer=Footer(("",), (FooterLink("", ""),)))


class Component(msgspec.Struct, frozen=True):
    """A component of MJML: what may stand in it, and its attributes with the words that they take.

    ``text`` says that it holds HTML.
    """

    children: list[str]
    attributes: dict[str, list[str]]
    text: bool


class Vocabulary(msgspec.Struct, frozen=True):
    """All of it; ``parts`` are the names that templates of each format can include or extend without one of theirs.

    ``surroundings`` are what a template sees besides its fields, with values that only show their kind.
    """

    components: dict[str, Component]
    colours: list[str]
    statements: list[str]
    filters: list[str]
    tests: list[str]
    functions: list[str]
    parts: dict[str, list[str]]
    surroundings: Mapping[str, object]


@cache
def vocabulary() -> Vocabulary:
    """Return what can be written."""
    parts: dict[str, list[str]] = {form: sorted(one.library) for form, one in ENVIRONMENTS.items()}
    return Vocabulary(
        components={name: _component(name) for name in sorted(KNOWN | {"mjml"})},
        colours=sorted(NAMES),
        statements=list(_STATEMENTS),
        filters=_public(HTML.filters),
        tests=[name for name in _public(HTML.tests) if name.isidentifier()],
        functions=_public(GLOBALS),
        parts=parts | {"mjml": sorted(starters_partials())},
        surroundings=Surroundings(brand=_BRAND).variables(),
    )


def _component(name: str) -> Component:
    children = set(CHILDREN.get(name, ())) | ({"mj-raw"} if name in HOLDS_RAW else set())
    attributes = sorted(ATTRIBUTES.get(name, frozenset()) | {"css-class", "mj-class"})
    taken = {one: _classes() if one == "mj-class" else values(name, one) for one in attributes}
    return Component(sorted(children), taken, name in ENDING)


def _classes() -> list[str]:
    """Return the classes that ``brand.mjml`` has."""
    return _CLASS.findall(starters_partials()["brand.mjml"].source)


def _public(names: dict[str, Any]) -> list[str]:
    """Return the names that an author can write."""
    return sorted(name for name in names if name[0].isalpha())
