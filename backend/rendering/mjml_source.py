"""Reads MJML with Jinja in it: refuses what cannot work, and tells of what the author may not mean."""

import re
from collections.abc import Iterator

import msgspec
from lxml import etree

from backend.rendering.components import CHILDREN, DEFAULTS, ENDING, HOLDS_RAW, KNOWN, KNOWN_ELSEWHERE
from backend.rendering.faults import TemplateFault
from backend.rendering.masking import Mask
from backend.rendering.mjml.elements import BETWEEN
from backend.rendering.mjml_attributes import told
from backend.rendering.mjml_columns import uncertain_widths
from backend.rendering.mjml_html_attributes import Setting, taken
from backend.rendering.model import TemplateWarning

_OPENING = re.compile(rf"<!--|<(?P<name>{'|'.join(sorted(ENDING, key=len, reverse=True))})(?=[\s/>])")
_REST_OF_TAG = re.compile(r"""(?:[^<>"']|"[^"]*"|'[^']*')*+>""")
_CLOSING = {name: re.compile(rf"</{name}\s*>") for name in ENDING}
_LONG_TAG = re.compile(r"<[A-Za-z][^<>\n]*\n[^<>]*>")
_RAW_TAG = re.compile(r"</?mj-raw(?:\s[^>]*)?/?>")
# What is for Outlook alone, or for all but Outlook, stays; the marks around the latter are comments of their own.
_COMMENT = re.compile(r"(?P<kept><!--\[if[^\]]*\]>(?:<!-->)?|<!--<!\[endif\]-->)|<!--.*?-->", re.DOTALL)
_CONDITIONAL = re.compile(r"\[if[^\]]*\]")
_FOREIGN_TAG = re.compile(r"<(/?mj(?:-[\w-]+|ml))")
_SET = re.compile(r"\{%[-+]?\s*set\b[^=]*=")
_PICTURES = frozenset({"mj-image", "mj-carousel-image"})
_PROLOGUE = re.compile(r"\s*<\?xml[^>]*\?>")
_REASONS = {
    "ERR_TAG_NAME_MISMATCH": lambda text: re.sub(r" line \d+ and ", " is closed by ", text),
    "ERR_TAG_NOT_FINISHED": lambda text: re.sub(r" line \d+$", "", text),
}


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
    skeleton = _fold(masked, mask)
    before, skeleton, after = _split(skeleton)
    offset = len(mask.lines(before)) - 1
    lines = mask.lines(before + skeleton)[offset:]
    root, log = _parse(skeleton, lines)
    corrected = Corrected(root, before=_placeholders(before, mask), after=_placeholders(after, mask))
    corrected.warnings.extend(log)
    _Corrector(corrected, mask, lines).run()
    return corrected


def _fold(masked: str, mask: Mask) -> str:
    """Hide the content of every component that holds HTML, and drop comments; both may be no XML."""
    pieces: list[str] = []
    position, line = 0, 1
    while match := _OPENING.search(masked, position):
        pieces.append(masked[position : match.start()])
        line += mask.height(pieces[-1])
        folded, end = _fold_one(masked, match, line, mask)
        pieces.append(folded)
        line += mask.height(masked[match.start() : end])
        position = end
    folded = "".join((*pieces, masked[position:]))
    # References such as &nbsp; and the bare & of addresses mean nothing to XML, and pass as they are.
    folded = folded.replace("&", mask.hide("&", 1, "content")) if "&" in folded else folded
    return _LONG_TAG.sub(lambda tag: tag[0].replace("\n", " ") + "\n" * tag[0].count("\n"), folded)


def _fold_one(masked: str, match: re.Match[str], line: int, mask: Mask) -> tuple[str, int]:
    name = match["name"]
    if name is None:
        return _fold_comment(masked, match.start(), line, mask)
    tag = _REST_OF_TAG.match(masked, match.end())
    if tag is None or masked[tag.end() - 2] == "/":
        end = tag.end() if tag else match.end()
        return masked[match.start() : end], end
    close = _CLOSING[name].search(masked, tag.end())
    if close is None:
        raise TemplateFault(f"<{name}> is never closed", line)
    content = masked[tag.end() : close.start()]
    first = line + mask.height(masked[match.start() : tag.end()])
    if name not in {"mj-style", "mj-title", "mj-preview"} and "<" in content:
        _refuse_components(content, name, first, mask)
    cleaned = content if name == "mj-style" else html_content(content, mask)
    hidden = mask.hide(cleaned, first, "content", mask.height(content)) if content.strip() else ""
    return masked[match.start() : tag.end()] + hidden + close[0], close.end()


def _fold_comment(masked: str, start: int, line: int, mask: Mask) -> tuple[str, int]:
    end = masked.find("-->", start)
    if end < 0:
        raise TemplateFault("a comment is never closed", line)
    end += 3
    comment = masked[start:end]
    if _CONDITIONAL.match(comment, 4):
        return mask.hide(comment, line, "content"), end
    # A Jinja statement works inside a comment too, as it would after any other compiler.
    kept = "".join(_statements(comment, mask))
    return kept + "\n" * (mask.height(comment) - mask.height(kept)), end


def _statements(comment: str, mask: Mask) -> list[str]:
    return [match[0] for match in mask.pattern.finditer(comment) if mask[int(match[1])].kind == "statement"]


def _refuse_components(content: str, parent: str, first: int, mask: Mask) -> None:
    stripped = _RAW_TAG.sub("", content)
    if match := _FOREIGN_TAG.search(_COMMENT.sub(lambda comment: comment["kept"] or "", stripped)):
        place = content.find(match[0])
        raise TemplateFault(f"<{match[1]}> cannot stand inside <{parent}>", mask.line(content, place, first))


def html_content(text: str, mask: Mask) -> str:
    """Clean HTML that a component holds: no mj-raw left in it, and no comment but conditional ones."""
    if "<" not in text:
        return text.strip()
    text = _COMMENT.sub(lambda match: match["kept"] or "".join(_statements(match[0], mask)), text)
    return _RAW_TAG.sub("", text).strip()


def _split(skeleton: str) -> tuple[str, str, str]:
    """Separate what stands before ``<mjml`` and after ``</mjml>``."""
    start = skeleton.find("<mjml")
    end = skeleton.rfind("</mjml>")
    if start < 0:
        raise TemplateFault("an MJML template begins with <mjml>", 1)
    end = len(skeleton) if end < start else end + len("</mjml>")
    return skeleton[:start], skeleton[start:end], skeleton[end:]


def _placeholders(text: str, mask: Mask) -> list[str]:
    if mask.pattern.sub("", _PROLOGUE.sub("", text)).strip():
        raise TemplateFault("only comments and Jinja statements may stand outside of <mjml>")
    return [match[0] for match in mask.pattern.finditer(text)]


def _parse(skeleton: str, lines: list[int]) -> tuple[etree._Element, list[TemplateWarning]]:
    """Parse the skeleton; of a doubled attribute the first counts, as it does for the reference compiler."""
    parser = etree.XMLParser(recover=True, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(skeleton, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise TemplateFault(f"this is no MJML: {error}", lines[0]) from None
    warnings = []
    for entry in parser.error_log:
        line = lines[min(max(entry.line, 1), len(lines)) - 1]
        if entry.type_name != "ERR_ATTRIBUTE_REDEFINED":
            reason = _REASONS.get(entry.type_name, str)(entry.message.strip())
            raise TemplateFault(f"{reason[:1].lower()}{reason[1:]}", line)
        name = entry.message.split()[1]
        detail = f"The attribute '{name}' stands twice in one tag; the first one counts."
        warnings.append(TemplateWarning(line, "doubled_attribute", detail))
    if "<!DOCTYPE" in skeleton:
        raise TemplateFault("a document type has no place in MJML", lines[0])
    return root, warnings


class _Corrector:
    """Walks the tree once and brings each element to the form that the compiler takes."""

    def __init__(self, corrected: Corrected, mask: Mask, lines: list[int]) -> None:
        self._corrected = corrected
        self._mask = mask
        self._lines = lines

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
            self._corrected.warnings.extend(uncertain_widths(element, self._mask))
        for raw in [*root.findall("mj-head/mj-raw"), *root.findall(f"mj-head/{BETWEEN}")]:
            self._hoist(raw)
        if (holder := root.find("mj-head/mj-html-attributes")) is not None:
            self._corrected.attributes = taken(root, self._mask, self._line(holder))
        for style in list(root.iter("mj-style")):
            if style.get("inline") == "inline":
                self._corrected.inline.append(style.text or "")
                _remove(style)

    def _line(self, element: etree._Element) -> int:
        return self._lines[min(int(str(element.sourceline)), len(self._lines)) - 1]

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
                target.append((child.text or "").strip())
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
            what = "MJML has no component" if tag.startswith("mj-") else "HTML stands inside mj-text or mj-raw, not as"
            raise TemplateFault(f"{what} <{tag}>", line)
        if tag not in CHILDREN.get(within, ()) and not (tag == "mj-raw" and within in HOLDS_RAW):
            raise TemplateFault(f"<{tag}> cannot stand inside <{within}>", line)

    def _attributes(self, element: etree._Element) -> None:
        if len(element.attrib) > len(set(element.attrib)):
            _drop_doubled(element)
        for name in element.attrib:
            if self._mask.mark in str(name):
                reason = f"Jinja may stand inside the values of <{element.tag}>'s attributes, not between them"
                raise TemplateFault(reason, self._line(element))
            if detail := told(str(element.tag), str(name)):
                self._corrected.warnings.append(TemplateWarning(self._line(element), "unknown_attribute", detail))
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


def _drop_doubled(element: etree._Element) -> None:
    """Keep the first of each attribute; the parser keeps all, and the compiler would take the last."""
    first = dict(reversed(list(element.attrib.items())))
    for name in list(element.attrib):
        del element.attrib[name]
    element.attrib.update(first)


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
