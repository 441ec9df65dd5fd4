"""Parses folded MJML, which may be written less strictly than XML, with the author's lines, and says what is wrong."""

import re
from typing import NamedTuple

from lxml import etree

from backend.rendering.faults import TemplateFault
from backend.rendering.jinja.masking import Mask
from backend.rendering.mjml.folding import RAW_TAG
from backend.rendering.model import TemplateWarning

_PROLOGUE = re.compile(r"<\?xml[^>]*\?>|<!doctype\s[^>\[]*>", re.IGNORECASE)
_NAMESPACE = re.compile(r"""\sxmlns(?::[\w.-]+)?\s*=\s*(?:"[^"]*"|'[^']*')""")
_TAG = re.compile(r"""<([A-Za-z][\w.-]*)((?:[^<>"']|"[^"]*"|'[^']*')*+)>""")
_ATTRIBUTE = re.compile(r"""([^\s"'<>/=]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'<>=]+))?""")
_QUOTES = "\"'"
_ANY_TAG = re.compile(
    r"""<!\[CDATA\[.*?\]\]>|<(?P<end>/?)(?P<name>[A-Za-z][\w.:-]*)(?P<rest>(?:[^<>"']|"[^"]*"|'[^']*')*+)(?P<close>>?)""",
    re.DOTALL,
)
_NAME = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)


def split(skeleton: str) -> tuple[str, str, str]:
    """Separate what stands before ``<mjml`` and after ``</mjml>``."""
    start = skeleton.find("<mjml")
    end = skeleton.rfind("</mjml>")
    if start < 0:
        raise TemplateFault("an MJML template begins with <mjml>", 1)
    end = len(skeleton) if end < start else end + len("</mjml>")
    opening = skeleton[start : skeleton.find(">", start)]
    root = _NAMESPACE.sub("", opening) if "xmlns" in opening else opening
    return skeleton[:start], root + skeleton[start + len(opening) : end], skeleton[end:]


def placeholders(text: str, mask: Mask) -> list[str]:
    """Return what is to come before or after the HTML; raises TemplateFault for text outside of ``mjml``."""
    if mask.pattern.sub("", RAW_TAG.sub("", _PROLOGUE.sub("", text))).strip():
        raise TemplateFault("only comments and Jinja statements may stand outside of <mjml>")
    return [match[0] for match in mask.pattern.finditer(text)]


def parse(skeleton: str, first: int) -> tuple[etree._Element, list[TemplateWarning]]:
    """Parse the skeleton, which begins on the line ``first``.

    Of a doubled attribute the first counts, as it does for the reference compiler.
    """
    root, faults = _read(skeleton, first)
    if any(fault.type_name != "ERR_ATTRIBUTE_REDEFINED" for fault in faults):
        again, others = _read(_TAG.sub(_spelled_out, skeleton), first)
        if all(fault.type_name == "ERR_ATTRIBUTE_REDEFINED" for fault in others):
            root, faults = again, others
    warnings = []
    for entry in faults:
        line = first + max(entry.line, 1) - 1
        if entry.type_name != "ERR_ATTRIBUTE_REDEFINED":
            raise mistake(skeleton, first) or TemplateFault("the tags here cannot be read as MJML", line)
        name = entry.message.split()[1]
        detail = f"The attribute '{name}' stands twice in one tag; the first one counts."
        warnings.append(TemplateWarning(line, "doubled_attribute", detail))
    if "<!DOCTYPE" in skeleton:
        raise TemplateFault("a document type has no place in MJML", first)
    for element in root.iter("*") if warnings else ():
        _drop_doubled(element)
    return root, warnings


def _drop_doubled(element: etree._Element) -> None:
    """Keep the first of each attribute; the parser keeps all, and the compiler would take the last."""
    first = dict(reversed(list(element.attrib.items())))
    for name in list(element.attrib):
        del element.attrib[name]
    element.attrib.update(first)


def _read(skeleton: str, first: int) -> tuple[etree._Element, list[etree._LogEntry]]:
    parser = etree.XMLParser(recover=True, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        return etree.fromstring(skeleton, parser), list(parser.error_log)
    except (etree.XMLSyntaxError, ValueError):
        raise mistake(skeleton, first) or TemplateFault("the tags here cannot be read as MJML", first) from None


def _spelled_out(tag: re.Match[str]) -> str:
    """Write a tag as XML wants it: a space before each attribute, each with a value, each value in quotes."""
    inside, end = tag[2].rstrip(), ""
    if inside.endswith("/"):
        inside, end = inside[:-1], "/"
    if _ATTRIBUTE.sub("", inside).strip():
        return tag[0]
    written = []
    for match in _ATTRIBUTE.finditer(inside):
        value = (match[2] or '""').replace("<", "&lt;")
        written.append(f" {match[1]}={value}" if value[0] in _QUOTES else f' {match[1]}="{value}"')
    return f"<{tag[1]}{''.join(written)}{end}>"


class _Open(NamedTuple):
    name: str
    line: int


def mistake(skeleton: str, first: int) -> TemplateFault | None:
    """Return the first mistake in the tags of a skeleton whose first line has the number ``first``."""
    opened: list[_Open] = []
    position = 0
    while (start := skeleton.find("<", position)) >= 0:
        line = first + skeleton.count("\n", 0, start)
        tag = _ANY_TAG.match(skeleton, start)
        if tag is None:
            return TemplateFault("a '<' stands alone here: write &lt; where it is text", line)
        position = tag.end()
        if tag["name"] is None:
            continue
        if fault := _in_tag(tag, line) or _in_order(tag, line, opened):
            return fault
    return TemplateFault(f"<{opened[-1].name}> is never closed", opened[-1].line) if opened else None


def _in_tag(tag: re.Match[str], line: int) -> TemplateFault | None:
    name, rest = tag["name"], tag["rest"]
    if not tag["close"]:
        unquoted = tag.string[tag.end() : tag.end() + 1] in {'"', "'"}
        what = "a quotation mark is missing" if unquoted else "'>' is missing"
        return TemplateFault(f"{what} in the tag <{name}", line)
    if tag["end"]:
        return None
    left = _ATTRIBUTE.sub("", rest.rstrip().removesuffix("/")).strip()
    if left:
        return TemplateFault(f'the tag <{name}> cannot be read at {left[:20]}: write attributes as name="value"', line)
    for attribute in _ATTRIBUTE.finditer(rest):
        if not _NAME.fullmatch(attribute[1]):
            return TemplateFault(f"'{attribute[1][:40]}' cannot be the name of an attribute of <{name}>", line)
    return None


def _in_order(tag: re.Match[str], line: int, opened: list[_Open]) -> TemplateFault | None:
    name = tag["name"]
    if not tag["end"]:
        if not tag["rest"].rstrip().endswith("/"):
            opened.append(_Open(name, line))
        return None
    if opened and opened[-1].name == name:
        opened.pop()
        return None
    if any(one.name == name for one in opened):
        inner = opened[-1]
        return TemplateFault(f"<{inner.name}> is never closed: </{name}> on line {line} comes before", inner.line)
    if not opened:
        return TemplateFault(f"</{name}> closes nothing", line)
    return TemplateFault(f"<{opened[-1].name}> of line {opened[-1].line} is closed by </{name}>", line)
