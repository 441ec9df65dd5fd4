"""Style sheets that the author asked to have written into the elements, by css-inline.

Where nothing that a selector looks at depends on the fields, it is done once, at compile time. The template itself
is not parsed and written anew for that, since an HTML parser moves what stands between the rows of a table, such as
``{% for %}``: only the style attributes are copied back, each to the place of its tag.
"""

import re
from html import unescape

import css_inline

from backend.rendering.jinja.masking import Mask

# The start tags, and what can hold text that looks like one.
_TAG = re.compile(
    r"""<!--.*?(?:-->|\Z)|<(style|script|title)\b.*?</\1\s*>|<([A-Za-z][^\s/<>"']*)((?:[^<>"']|"[^"]*"|'[^']*')*+)>""",
    re.DOTALL | re.IGNORECASE,
)
_ATTRIBUTE = re.compile(r"""\s([^\s"'<>/=]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'=<>`]+))?""")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_RULE = re.compile(r"([^{}]*)\{[^{}]*\}")
# Types, classes, identifiers, descendants and children: nothing that counts siblings or reads other attributes, nor
# can mean an element that the parser adds.
_STEADY_SELECTORS = re.compile(r"(?:(?!\b(?:tbody|html|head|body)\b)[\w\s.#>,-])+")
_NUMBER = "data-place"
_FOUND = "--found-by-carillon"
# As css-inline writes them: quoted always, and no quotation mark inside.
_WRITTEN_TAG = re.compile(r"""<[A-Za-z](?:[^"<>]|"[^"]*")*+>""")
_NUMBERED = re.compile(rf"""\s{_NUMBER}="(\d+)\"""")
_STYLE = re.compile(r"""\sstyle="([^"]*)\"""")


def css_inliner(css: str) -> css_inline.CSSInliner:
    """Build an inliner of this CSS alone: MJML's own style tags stay as they are, and nothing is fetched."""
    return css_inline.CSSInliner(
        inline_style_tags=False,
        keep_style_tags=True,
        keep_link_tags=True,
        load_remote_stylesheets=False,
        extra_css=css,
    )


def inlined_template(masked: str, css: str, mask: Mask) -> str | None:
    """Write CSS into the elements of a template whose Jinja tokens are masked.

    The Jinja blocks of the template must be balanced with its elements. Returns None where the rendered HTML must
    be waited for.
    """
    if not _steady(css) or _NUMBER in masked:
        return None
    tags = tags_of(masked)
    if any(_depends_on_fields(tag, mask) for tag in tags):
        return None
    try:
        styles = _styles(masked, tags, css)
    except css_inline.InlineError:
        return None  # a style attribute of nothing but Jinja is no CSS
    pieces: list[str] = []
    position = 0
    for number, tag in enumerate(tags):
        if number not in styles:
            continue
        attributes = _with_style(tag[3], styles[number], mask)
        if attributes is None:
            return None
        pieces.extend((masked[position : tag.start(3)], attributes))
        position = tag.end(3)
    return "".join((*pieces, masked[position:]))


def tags_of(html: str) -> list[re.Match[str]]:
    """Find the start tags of a text, each with its name as group 2 and its attributes as group 3."""
    return [match for match in _TAG.finditer(html) if match[2]]


def found_by(html: str, tags: list[re.Match[str]], selector: str) -> set[int]:
    """Return the places in ``tags`` of the elements that a CSS selector finds.

    It is written into a copy as a style of our own. Raises ``css_inline.InlineError``.
    """
    return set(_styles(html, tags, f"{selector} {{ {_FOUND}: 1 }}"))


def with_attribute(attributes: str, name: str, value: str) -> str:
    """Set an attribute among those of a start tag; the value is ready to stand between double quotes."""
    for match in _ATTRIBUTE.finditer(attributes):
        if match[1].lower() == name.lower():
            return f'{attributes[: match.start(1)]}{name}="{value}"{attributes[match.end() :]}'
    end = len(attributes.rstrip(" /"))
    return f'{attributes[:end]} {name}="{value}"{attributes[end:]}'


def _steady(css: str) -> bool:
    css = _COMMENT.sub("", css)
    selectors = [match[1].strip() for match in _RULE.finditer(css)]
    return not _RULE.sub("", css).strip() and all(map(_STEADY_SELECTORS.fullmatch, selectors))


def _depends_on_fields(tag: re.Match[str], mask: Mask) -> bool:
    if not mask.indices(tag[0]):
        return False
    named = mask.indices(tag[2] + _ATTRIBUTE.sub(lambda match: match[1], tag[3]))
    return bool(named) or any(
        attribute[1].lower() in {"class", "id"} and mask.indices(attribute[0])
        for attribute in _ATTRIBUTE.finditer(tag[3])
    )


def _styles(masked: str, tags: list[re.Match[str]], css: str) -> dict[int, str]:
    """Return the new style, ready to stand between double quotes, of each tag by its number."""
    pieces: list[str] = []
    position = 0
    for number, tag in enumerate(tags):
        pieces.extend((masked[position : tag.end(2)], f' {_NUMBER}="{number}"'))
        position = tag.end(2)
    numbered = "".join((*pieces, masked[position:]))
    styles: dict[int, str] = {}
    for match in _WRITTEN_TAG.finditer(css_inliner(css).inline(numbered)):
        found, style = _NUMBERED.search(match[0]), _STYLE.search(match[0])
        if found and style and unescape(style[1]) != unescape(_style(tags[int(found[1])][3])):
            styles[int(found[1])] = style[1]
    return styles


def _style(attributes: str) -> str:
    for match in _ATTRIBUTE.finditer(attributes):
        if match[1].lower() == "style":
            return match[2].strip("\"'")
    return ""


def _with_style(attributes: str, style: str, mask: Mask) -> str | None:
    return None if mask.indices(_style(attributes)) else with_attribute(attributes, "style", style)
