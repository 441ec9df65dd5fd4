"""The elements of a document with the attributes that they have in the end, and how they are written."""

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from lxml import etree

from backend.rendering.mjml.writer.defaults import COLOURS, DEFAULTS
from backend.rendering.mjml.writer.numbers import border, integer, side

Attributes = dict[str, str]
# Each is a name, what it comes from, and whether that is an attribute; or all of it, and None.
Declarations = Sequence[tuple[str, str | None, bool]]
# Jinja between components, which counts as nothing, unlike what the author put into mj-raw.
BETWEEN = "jinja"
_RAW = frozenset({"mj-raw", BETWEEN})
_SHORT_COLOUR = 4
_NOTHING: dict[str, str] = {}


class Defaults:
    """What ``mj-attributes`` says: of all, of components, of classes and of what stands inside of classes."""

    def __init__(self, root: etree._Element) -> None:
        self._of_all: dict[str, str] = {}
        self._of_tags: dict[str, dict[str, str]] = {}
        self._of_classes: dict[str, dict[str, str]] = {}
        self._within_classes: dict[str, dict[str, dict[str, str]]] = {}
        self._merged: dict[str, dict[str, str]] = {}
        for one in root.iterfind("mj-head/mj-attributes/*"):
            values = spelled(one)
            if one.tag == "mj-class":
                name = values.pop("name", "")
                self._of_classes.setdefault(name, {}).update(values)
                inside = self._within_classes.setdefault(name, {})
                inside.update({str(default.tag): spelled(default) for default in one})
            elif one.tag == "mj-all":
                self._of_all.update(values)
            else:
                self._of_tags.setdefault(str(one.tag), {}).update(values)

    def resolved(self, tag: str, own: Attributes, around: str, given: Attributes | None) -> dict[str, str]:
        """Return the attributes of an element, with the classes around it and what its parent hands down."""
        merged = self._merged.get(tag)
        if given is not None:
            merged = DEFAULTS.get(tag, _NOTHING) | self._of_all | given | self._of_tags.get(tag, _NOTHING)
        elif merged is None:
            merged = DEFAULTS.get(tag, _NOTHING) | self._of_all | self._of_tags.get(tag, _NOTHING)
            self._merged[tag] = merged
        resolved = dict(merged)
        if "mj-class" in own:
            resolved.update(self._classed(own["mj-class"]))
        if around and self._within_classes:
            for name in around.split(" "):
                if within := self._within_classes.get(name):
                    resolved.update(within.get(tag, _NOTHING))
        resolved.update(own)
        return resolved

    def _classed(self, names: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for name in names.split(" "):
            values = self._of_classes.get(name, _NOTHING)
            together = [one["css-class"] for one in (found, values) if "css-class" in one]
            found.update(values)
            if together:
                found["css-class"] = " ".join(together)
        return found


class Element:
    """One component with its attributes.

    ``index`` counts from 0 among its ``siblings``, raw ones included; ``columns`` are the siblings that are not raw.
    """

    __slots__ = ("_around", "_defaults", "attributes", "columns", "get", "index", "node", "own", "siblings", "tag")

    def __init__(
        self, node: etree._Element, defaults: Defaults, around: str = "", given: Attributes | None = None
    ) -> None:
        self.node = node
        self.tag = str(node.tag)
        self.own = spelled(node)
        self._defaults = defaults
        self._around = self.own.get("mj-class", around)
        self.attributes = defaults.resolved(self.tag, self.own, around, given)
        self.get = self.attributes.get
        self.index, self.siblings, self.columns = 0, 1, 1

    @property
    def content(self) -> str:
        """The HTML that the element holds."""
        return (self.node.text or "").strip()

    @property
    def is_raw(self) -> bool:
        """Say whether this is nothing that has a place in the layout."""
        return self.tag in _RAW

    @property
    def is_last(self) -> bool:
        """Say whether nothing comes behind it."""
        return self.index + 1 == self.siblings

    def children(self, given: Attributes | None = None) -> list["Element"]:
        """Return what stands inside, with the attributes that this element hands down."""
        children = [Element(node, self._defaults, self._around, given) for node in self.node]
        siblings = columns = 0
        for child in children:
            child.index = siblings
            siblings += child.tag != BETWEEN
            columns += child.tag not in _RAW
        for child in children:
            child.siblings, child.columns = siblings, columns
        return children

    @staticmethod
    def bare(tag: str, given: Attributes) -> "Element":
        """Return an element that the author did not write, with nothing but what its parent hands down."""
        return Element(etree.Element(tag), _NO_DEFAULTS, given=given)

    def true(self, name: str) -> bool:
        """Say whether an attribute is there and neither empty nor ``false``."""
        return self.get(name) not in {None, "", "false"}

    def some(self, names: Sequence[str]) -> dict[str, str]:
        """Return those of the attributes that are there."""
        return {name: self.attributes[name] for name in names if name in self.attributes}

    def spaces(self, kind: str, *edges: str) -> int:
        """Add up the padding of these sides in pixels; ``kind`` is ``padding`` or ``inner-padding``."""
        shorthand = self.get(kind)
        total = 0
        for edge in edges:
            if single := self.get(f"{kind}-{edge}"):
                total += integer(single)
            elif shorthand:
                total += side(shorthand, edge)
        return total

    def borders(self, kind: str = "border") -> int:
        """Add up the widths of the left and the right border in pixels."""
        whole = self.get(kind) or "0"
        return border(self.get(f"{kind}-left") or whole) + border(self.get(f"{kind}-right") or whole)

    def style(self, declarations: Declarations, worked_out: Mapping[str, str | None] = _NOTHING) -> str:
        """Write a style attribute of what has a value."""
        text = ""
        for name, key, is_attribute in declarations:
            if key is None:
                text += name
            elif (value := self.get(key) if is_attribute else worked_out.get(key)) is not None:
                text += f"{name}:{value};"
        return f' style="{text}"' if text else ""


_NO_DEFAULTS = Defaults(etree.Element("mjml"))


def declarations(written: str) -> Declarations:
    """Read declarations: ``color`` is an attribute, ``margin<align`` another, ``a=b`` fixed, ``a*`` worked out."""
    read: list[tuple[str, str | None, bool]] = []
    for one in written.split():
        if "=" in one:
            read.append((one.replace("=", ":").replace("_", " ") + ";", None, False))
        elif one.endswith("*"):
            read.append((one[:-1], one[:-1], False))
        else:
            name, _, attribute = one.partition("<")
            read.append((name, attribute or name, True))
    return tuple(read)


def attributes(**values: str | int | None) -> str:
    """Write those attributes of a tag that have a value; ``class_`` and ``for_`` stand for names that Python keeps."""
    return "".join([f' {name.rstrip("_")}="{value}"' for name, value in values.items() if value is not None])


def spelled(node: etree._Element) -> dict[str, str]:
    """Return the attributes of a tag as they may stand in HTML, colours of three digits in six."""
    values = {}
    for name, value in cast("Iterable[tuple[str, str]]", node.attrib.items()):
        if name in COLOURS and len(value) == _SHORT_COLOUR and value[0] == "#":
            value = "#" + "".join(digit * 2 for digit in value[1:])  # noqa: PLW2901 - one value, spelled out
        if '"' in value or "<" in value:
            value = value.replace('"', "&quot;").replace("<", "&lt;")  # noqa: PLW2901 - as above
        values[name] = value
    return values


def suffixed(classes: str | None, suffix: str) -> str:
    """Give each class a suffix, as ``own-outlook``."""
    return " ".join(f"{one}-{suffix}" for one in classes.split(" ")) if classes else ""


def outlook(html: str) -> str:
    """Write what Outlook alone reads."""
    return f"<!--[if mso | IE]>{html}<![endif]-->"
