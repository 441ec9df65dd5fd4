"""Random MJML as people write it: sections, columns and what mostly stands in them, with whole lengths.

With Jinja it has tokens between the components and in attributes, so that it is for no other compiler than ours.
"""

import random
import re
from collections.abc import Callable, Iterator

from e2e.mjml_documents import ATTRIBUTES, Document, Writer

KINDS = ("section", "column", "wrapper", "text", "button", "image", "divider", "spacer", "table", "navbar", "defaults")
_CONTENTS = (
    "text",
    "text",
    "text",
    "button",
    "button",
    "image",
    "image",
    "divider",
    "spacer",
    "table",
    "navbar",
    "raw",
)
_RARE = frozenset(
    ["border-bottom", "border-left", "border-right", "border-top", "css-class", "direction", "full-width", "gap"]
    + ["gutter", "id", "inner-border-radius", "role", "title", "cellspacing", "background-position-x"]
    + ["background-position-y", "inner-border", "text-padding"]
    + [f"ico-padding-{side}" for side in ("bottom", "left", "right", "top")]
    + [f"inner-border-{side}" for side in ("bottom", "left", "right", "top")]
)
_TOKENS = ("{{ a }}", "{% if a %}{% endif %}", "{# a #}{{ b }}", "{% for c in a %}{% endfor %}{{ b }}")
_END = re.compile(
    r"</mj-(?:section|wrapper|column|text|button|image|divider|spacer|table)>|"
    r"<mj-(?:image|divider|spacer|section|column) [^>]*/>|<mj-(?:section|wrapper|column)\b[^>]*(?<!/)>"
)
_VALUE = re.compile(r'\b(href|src|alt|color|background-color|font-size|line-height|css-class)="[^"]*"')


def ordinary(count: int, seed: int, first: int = 0, *, jinja: bool = False) -> Iterator[Document]:
    """Write so many documents, the kinds in turn."""
    for number in range(first, first + count):
        kind, chance = KINDS[number % len(KINDS)], random.Random(f"ordinary {seed}:{number}")
        source = _Ordinary(chance, kind).document()
        yield Document(number, kind, _with_jinja(source, chance) if jinja else source)


def _with_jinja(source: str, chance: random.Random) -> str:
    head, tag, body = source.rpartition("<mj-body")
    body = _END.sub(lambda end: end[0] + (chance.choice(_TOKENS) if chance.random() < 0.2 else ""), body)
    body = _VALUE.sub(lambda pair: f'{pair[1]}="{{{{ v }}}}"' if chance.random() < 0.2 else pair[0], body)
    return f"{head}{tag}{body}"


class _Ordinary(Writer):
    """Leaves out what is rare, and spells lengths as MJML's own documentation does."""

    @property
    def _outer(self) -> list[Callable[[], str]]:  # type: ignore[override] # the other one is cached
        return [self._section, self._section, self._wrapper]

    def _wrapper(self) -> str:
        return self._element("mj-wrapper", "".join(self._section() for _ in range(self._chance.randint(1, 3))))

    def _section(self) -> str:
        count = self._chance.choice([1, 1, 1, 2, 2, 4])
        return self._element("mj-section", "".join(self._column() for _ in range(count)))

    def _contents(self) -> str:
        favoured = [self._kind] * 12 if self._kind in _CONTENTS else []
        kinds = [self._chance.choice([*favoured, *_CONTENTS]) for _ in range(self._chance.randint(0, 4))]
        return "".join(self._content(kind) for kind in kinds)

    def _attributes(self, name: str, always: str = "") -> str:
        values = self._values(name, always, 0.2 if self._kind in name else 0.06)
        if self._chance.random() < 0.1 and name != "mj-body":
            values["css-class"] = "own"
        return self._joined(values)

    def _values(self, name: str, always: str, share: float) -> dict[str, str]:
        known = dict(pair.split("=") for pair in ATTRIBUTES[name].split())
        common = {
            key: kind for key, kind in known.items() if key not in _RARE and (name, key) != ("mj-table", "border")
        }
        return {
            key: self._value(kind) for key, kind in common.items() if key == always or self._chance.random() < share
        }

    def _default(self, name: str) -> str:
        return f"<{name}{self._joined(self._values(name, '', 0.15))} />"

    def _class(self, name: str) -> str:
        return f'<mj-class name="{name}"{self._joined(self._values("mj-text", "", 0.2))} />'

    def _length(self, low: int, high: int, percents: float = 0.0) -> str:
        if self._chance.random() < percents / 10:
            return "10%"
        return self._chance.choice([f"{self._chance.randint(low, high) // 2 * 2}px"] * 9 + ["0"])

    def _space(self) -> str:
        return self._length(0, 40)

    def _spaces(self) -> str:
        return " ".join(self._length(0, 40) for _ in range(self._chance.choice([1, 2, 2, 3, 4])))

    def _border(self) -> str:
        width, style = self._chance.randint(1, 9), self._chance.choice(["solid", "dashed"])
        return self._chance.choice([f"{width}px {style} {self._value('colour')}"] * 5 + ["none"])

    def _height(self) -> str:
        return self._length(20, 200)

    def _large(self) -> str:
        return f"{self._chance.randint(30, 700)}px"

    def _tall(self) -> str:
        return self._chance.choice(["auto", self._large()])

    def _width(self) -> str:
        return self._chance.choice(["100%", "100%", "50%", f"{self._chance.randint(60, 300)}px"])

    def _table(self) -> str:
        return self._chance.choice(["auto", "50%", "100%"])

    def _part(self) -> str:
        return self._chance.choice(["50%", "25%", "100%", "200px", "150px"])

    def _body(self) -> str:
        return self._chance.choice(["600px", "640px", "700px"])
