"""Compiles MJML with Jinja in it to HTML with Jinja in it."""

import re

import msgspec
from lxml import etree

from backend.rendering.faults import TemplateFault
from backend.rendering.html.inlining import inlined_template
from backend.rendering.html.pages import is_undetermined
from backend.rendering.jinja.environments import MJML
from backend.rendering.jinja.masking import ANY_PLACEHOLDER, LineMap, Mask, mask_jinja
from backend.rendering.mjml.html_attributes import applied
from backend.rendering.mjml.mrml import Plain, by_mrml
from backend.rendering.mjml.source import Corrected, correct
from backend.rendering.mjml.writer.sections import document
from backend.rendering.model import LANGUAGE, TemplateWarning
from backend.rendering.text.template import derived

# Where white space counts, or may count by a style sheet.
_KEEPS_SPACE = re.compile(r"<pre\b|<textarea\b|white-space", re.IGNORECASE)
_INDENTATION = re.compile(rf"[ \t]*\n[ \t\n]*(?=<|{ANY_PLACEHOLDER})")
_ADJACENT = "<![endif]--><!--[if mso | IE]>"


class CompiledMjml(msgspec.Struct, frozen=True):
    """HTML with Jinja; ``lines`` leads back to the author's lines, ``flow`` writes its text alternative if it can.

    ``inline`` is CSS that is still to be written into the elements of the rendered HTML. Where that CSS has Jinja of
    its own it stands in the HTML instead, between the two texts of ``inline_marks``.
    """

    html: str
    lines: LineMap
    flow: str | None
    inline: str | None
    inline_marks: tuple[str, str] | None
    warnings: list[TemplateWarning]


def compile_mjml(source: str, language: str = LANGUAGE) -> CompiledMjml:
    """Compile a source whose line breaks are line feeds; ``language`` is that of a message whose author names none.

    Raises TemplateFault with the line, and jinja2.TemplateSyntaxError for tokens that Jinja cannot read.
    """
    mask = Mask(source)
    corrected, html = to_html(source, mask, language)
    warnings = [*corrected.warnings, *_lost(html + "".join(corrected.inline), corrected, mask)]
    style = mask.unfold("\n".join(corrected.inline))
    html = minified(mask.unfold(html))
    marks = None
    if mask.indices(style):
        marks = (f'<style data-inline="{mask.mark[:12]}">', "</style>")
        html, style = html.replace("</head>", f"{marks[0]}{style}{marks[1]}</head>", 1), ""
    html, style, flow = _prepared(html, style, mask)
    revealed, lines = mask.reveal(html)
    return CompiledMjml(revealed, lines, flow if marks is None else None, style or None, marks, warnings)


def to_html(source: str, mask: Mask, language: str = LANGUAGE) -> tuple[Corrected, str]:
    """Turn MJML into HTML whose Jinja tokens are masked; return the corrected MJML too.

    Raises as ``compile_mjml`` does.
    """
    corrected = correct(mask_jinja(MJML, source, mask), mask)
    if is_undetermined(corrected.tree.get("lang")):
        corrected.tree.set("lang", language)
    html = applied(_written(corrected.tree, mask), corrected.attributes)
    return corrected, "".join((*corrected.before, html, *corrected.after))


def _written(tree: etree._Element, mask: Mask) -> str:
    """Let MRML write what it is known to write as the reference compiler does, and the rest by ourselves.

    MRML gets a tree in which nothing is left to its own defaults. What it writes otherwise, for some reader in a
    browser or in Outlook, is listed in ``mrml``; ``writer`` writes every component as the reference does.
    """
    plain = Plain(tree, mask)
    html = by_mrml(plain) if plain.difference is None else None
    return document(tree) if html is None else html


def _prepared(html: str, style: str, mask: Mask) -> tuple[str, str, str | None]:
    """Do at once what would else be done to each message: return the HTML, the CSS still to inline, and the flow."""
    flow = derived(html, mask)
    inlined = inlined_template(html, style, mask) if style and flow is not None else None
    if "display" in style:  # what a style sheet hides has no place in the text
        flow = derived(inlined, mask) if inlined is not None else None
    return (html, style, flow) if inlined is None else (inlined, "", flow)


def _lost(html: str, corrected: Corrected, mask: Mask) -> list[TemplateWarning]:
    """Find Jinja that stood in the corrected source but is not in the result.

    A lost statement would change what the rest means, so it raises TemplateFault; a lost expression is told.
    """
    present = {index for index, _ in (*mask.tokens(html), *mask.tokens(_of_no_use(corrected.tree)))}
    given = etree.tostring(corrected.tree, encoding="unicode")
    warnings = []
    for index, hidden in mask.tokens(given):
        if index in present or hidden.kind == "comment":
            continue
        if hidden.kind != "expression":
            raise TemplateFault(f"MJML drops '{hidden.text}' where it stands", hidden.line)
        detail = f"'{hidden.text}' has no effect here: MJML needs the value before the fields are known."
        warnings.append(TemplateWarning(hidden.line, "ignored_expression", detail))
    return warnings


def _of_no_use(tree: etree._Element) -> str:
    """Return the classes that no element names, which may well say something: a library has more than one needs."""
    named = {name for element in tree.iter() for name in element.get("mj-class", "").split()}
    unused = (one for one in tree.iter("mj-class") if one.get("name") not in named)
    return "".join(etree.tostring(one, encoding="unicode") for one in unused)


def minified(html: str) -> str:
    """Join conditional comments that follow each other, and drop indentation and blank lines where none shows.

    What is followed neither by the placeholder of a Jinja token nor by a tag stays, since it may stand inside of an
    attribute.
    """
    html = html.replace(_ADJACENT, "")
    return html if _KEEPS_SPACE.search(html) else _INDENTATION.sub("\n", html)
