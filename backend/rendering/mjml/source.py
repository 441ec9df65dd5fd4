"""Reads MJML with Jinja in it: refuses what cannot work, and tells of what the author may not mean."""

import re
from collections.abc import Iterable, Iterator
from typing import cast

import msgspec
from lxml import etree

from backend.rendering.faults import TemplateFault
from backend.rendering.jinja.masking import Mask
from backend.rendering.mjml.attributes import doubtful, told
from backend.rendering.mjml.blocks import crossing_blocks, uncertain_widths
from backend.rendering.mjml.components import (
    CHILDREN,
    DEFAULTS,
    ENDING,
    HOLDS_RAW,
    KNOWN,
    KNOWN_ELSEWHERE,
    belongs,
    nearest,
)
from backend.rendering.mjml.folding import fold
from backend.rendering.mjml.html_attributes import Setting, taken
from backend.rendering.mjml.parsing import parse, placeholders, split
from backend.rendering.mjml.writer.elements import BETWEEN
from backend.rendering.model import TemplateWarning

_SET = re.compile(r"\{%[-+]?\s*set\b[^=]*=")
_PICTURES = frozenset({"mj-image", "mj-carousel-image"})


class Corrected(msgspec.Struct):
    """MJML ready for the compiler.

    ``before`` and ``after`` hold what stands outside of ``mjml``, ``inline`` the style sheets to be written into
    elements, ``attributes`` what is to be set on elements of the HTML.
    """

    tree: etree._Element
    before: list[str] = []
    after: list[str] = []
    inline: list[str] = []
    attributes: list[Setting] = []
    warnings: list[TemplateWarning] = []


def correct(masked: str, mask: Mask) -> Corrected:
    """Correct a source whose Jinja tokens are masked; raises TemplateFault with the line of what cannot work."""
    skeleton, noticed = fold(masked, mask)
    before, skeleton, after = split(skeleton)
    first = 1 + before.count("\n")
    root, doubled = parse(skeleton, first)
    corrected = Corrected(root, before=placeholders(before, mask), after=placeholders(after, mask))
    corrected.warnings.extend((*noticed, *doubled))
    _Corrector(corrected, mask, first).run()
    return corrected


class _Corrector:
    """Walks the tree once and brings each element to the form that the compiler takes."""

    def __init__(self, corrected: Corrected, mask: Mask, first: int) -> None:
        self._corrected = corrected
        self._mask = mask
        self._first = first

    def run(self) -> None:
        root = self._corrected.tree
        if root.tag != "mjml":
            raise TemplateFault("an MJML template begins with <mjml>", self._line(root))
        if root.find("mj-body") is None:
            raise TemplateFault("<mj-body> is missing", self._line(root))
        self._lift(root)
        for element in list(root.iter("*")):
            self._check(element)
            self._attributes(element)
            if element.tag not in ENDING:
                self._wrap(element)
            if element.tag in {"mj-section", "mj-group"}:
                self._corrected.warnings.extend(uncertain_widths(element, self._mask))
        self._corrected.warnings.extend(crossing_blocks(root, self._mask))
        for raw in [*root.findall("mj-head/mj-raw"), *root.findall(f"mj-head/{BETWEEN}")]:
            self._hoist(raw)
        if (holder := root.find("mj-head/mj-html-attributes")) is not None:
            self._corrected.attributes = taken(root, self._mask, self._line(holder))
        for style in list(root.iter("mj-style")):
            if style.get("inline") == "inline":
                self._corrected.inline.append(style.text or "")
                _remove(style)

    def _line(self, element: etree._Element) -> int:
        return self._first + int(str(element.sourceline)) - 1

    def _lift(self, root: etree._Element) -> None:
        """Move what stands beside head and body out of ``mjml``, where the compiler takes nothing else."""
        target = self._corrected.before
        for text, child in _beside(root):
            target.extend(match[0] for match in self._mask.pattern.finditer(text))
            if child is None:
                continue
            child.tail = None
            if child.tag == "mj-body":
                target = self._corrected.after
            elif child.tag == "mj-raw":
                first = child.get("position") == "file-start"
                (self._corrected.before if first else target).append((child.text or "").strip())
                _remove(child)
        root.text = None

    def _hoist(self, raw: etree._Element) -> None:
        """Let what the head sets come first: the compiler rearranges the head, and puts mj-raw behind the styles."""
        text = raw.text or ""
        tokens = [hidden for _, hidden in self._mask.tokens(text) if hidden.kind != "comment"]
        if self._mask.bare(text).strip():
            return
        for hidden in tokens:
            if not _SET.match(hidden.text):
                raise TemplateFault(f"MJML rearranges the head, so '{hidden.text}' cannot stand there", hidden.line)
        self._corrected.before.append(text)
        _remove(raw)

    def _check(self, element: etree._Element) -> None:
        parent = element.getparent()
        if parent is None or not isinstance(element.tag, str):
            return
        line, tag, within = self._line(element), element.tag, str(parent.tag)
        if within in {"mj-attributes", "mj-class"} and tag in DEFAULTS:
            return
        if tag in KNOWN_ELSEWHERE:
            raise TemplateFault(KNOWN_ELSEWHERE[tag], line)
        if tag not in KNOWN:
            if tag.lower().startswith("mj"):
                raise TemplateFault(f"MJML has no component <{tag}>{nearest(tag)}", line)
            raise TemplateFault(f"HTML stands inside <mj-text> or <mj-raw>: <{tag}> is directly in <{within}>", line)
        if tag not in CHILDREN.get(within, ()) and not (tag == "mj-raw" and within in HOLDS_RAW):
            raise TemplateFault(f"<{tag}> cannot stand inside <{within}>{belongs(tag)}", line)

    def _attributes(self, element: etree._Element) -> None:
        tag, mark = str(element.tag), self._mask.mark
        for name, value in cast("Iterable[tuple[str, str]]", element.items()):
            if mark in name:
                found = " ".join(self._mask[index].text for index in self._mask.indices(name))
                reason = f"{found} stands inside the tag <{tag}>: write Jinja inside the value of an attribute"
                raise TemplateFault(reason, self._line(element))
            if detail := told(tag, name):
                self._corrected.warnings.append(TemplateWarning(self._line(element), "unknown_attribute", detail))
            elif mark not in value and (detail := doubtful(tag, name, value)):
                self._corrected.warnings.append(TemplateWarning(self._line(element), "invalid_value", detail))
        if element.tag in _PICTURES and element.get("alt") is None and not _in_defaults(element):
            detail = "The image has no alt text, so readers who see no images learn nothing of it."
            self._corrected.warnings.append(TemplateWarning(self._line(element), "missing_alt", detail))

    def _wrap(self, element: etree._Element) -> None:
        """Put Jinja tokens that stand between components into mj-raw; other text there is lost, so refuse it."""
        for text, child in list(_beside(element)):
            if not text.strip():
                continue
            found = [match[0] for match in self._mask.pattern.finditer(text)]
            line = self._line(child if child is not None else element)
            if self._mask.pattern.sub("", text).strip():
                detail = f"The text directly inside <{element.tag}> is not shown; it belongs into mj-text."
                self._corrected.warnings.append(TemplateWarning(line, "lost_text", detail))
            if found and element.tag not in HOLDS_RAW:
                raise TemplateFault(f"Jinja cannot stand directly inside <{element.tag}>", line)
            if found:
                raw = etree.Element(BETWEEN)
                raw.text = "".join(found)
                element.insert(element.index(child) if child is not None else len(element), raw)
        element.text = None
        for child in element:
            child.tail = None


def _beside(element: etree._Element) -> Iterator[tuple[str, etree._Element | None]]:
    """Yield each text directly inside an element with the child that follows it."""
    children = list(element)
    texts = [element.text or "", *(child.tail or "" for child in children)]
    yield from zip(texts, [*children, None], strict=True)


def _in_defaults(element: etree._Element) -> bool:
    return any(ancestor.tag == "mj-attributes" for ancestor in element.iterancestors())


def _remove(element: etree._Element) -> None:
    parent = element.getparent()
    if parent is not None:
        parent.remove(element)
