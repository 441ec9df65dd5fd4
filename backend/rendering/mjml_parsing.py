"""Parses folded MJML, which may be written less strictly than XML, with the author's lines."""

import re

from lxml import etree

from backend.rendering.faults import TemplateFault
from backend.rendering.masking import Mask
from backend.rendering.mjml_folding import RAW_TAG
from backend.rendering.mjml_mistakes import mistake
from backend.rendering.model import TemplateWarning

_PROLOGUE = re.compile(r"<\?xml[^>]*\?>|<!doctype\s[^>\[]*>", re.IGNORECASE)
_NAMESPACE = re.compile(r"""\sxmlns(?::[\w.-]+)?\s*=\s*(?:"[^"]*"|'[^']*')""")
_TAG = re.compile(r"""<([A-Za-z][\w.-]*)((?:[^<>"']|"[^"]*"|'[^']*')*+)>""")
_ATTRIBUTE = re.compile(r"""([^\s"'<>/=]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'<>=]+))?""")
_QUOTES = "\"'"


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
    return root, warnings


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
