"""Takes what is no XML out of MJML before it is parsed: the HTML that components hold, comments, references."""

import re
from collections.abc import Iterator

from backend.rendering.faults import TemplateFault
from backend.rendering.jinja.masking import ANY_PLACEHOLDER, Mask
from backend.rendering.mjml.components import ENDING, KNOWN, KNOWN_ELSEWHERE
from backend.rendering.model import TemplateWarning

_OPENING = re.compile(rf"<!--|<(?P<name>{'|'.join(sorted(ENDING, key=len, reverse=True))})(?=[\s/>])")
_REST_OF_TAG = re.compile(r"""(?:[^<>"']|"[^"]*"|'[^']*')*+>""")
_CLOSING = {name: re.compile(rf"</{name}\s*>") for name in ENDING}
RAW_TAG = re.compile(r"</?mj-raw(?:\s[^>]*)?/?>")
_NO_MARKUP = frozenset({"mj-html-attribute", "mj-preview", "mj-raw", "mj-style", "mj-table", "mj-title"})
# A tag, whose attributes may hold mj-raw too, or what mj-raw holds where that could be values alone.
_RAW_VALUES = re.compile(
    r"""<(?!mj-raw)[A-Za-z](?:[^<>"']|"[^"]*"|'[^']*')*+>|<mj-raw>(?P<held>[A-Za-z0-9\s]*)</mj-raw\s*>"""
)
# What is for Outlook alone, or for all but Outlook, stays; the marks around the latter are comments of their own.
_COMMENT = re.compile(r"(?P<kept><!--\[if[^\]]*\]>(?:<!-->)?|<!--<!\[endif\]-->)|<!--.*?-->", re.DOTALL)
_PIECE = re.compile(rf"""<[A-Za-z/](?:[^<>"']|"[^"]*"|'[^']*')*+>|{ANY_PLACEHOLDER}""")
_CONDITIONAL = re.compile(r"\[if[^\]]*\]")
_FOREIGN_TAG = re.compile(r"<(?P<end>/?)(?P<name>mj(?:-[\w-]+|ml))")


def fold(masked: str, mask: Mask) -> tuple[str, list[TemplateWarning]]:
    """Hide the content of every component that holds HTML, and drop comments; both may be no XML.

    Raises TemplateFault with the line of what is never closed, or cannot stand where it does.
    """
    pieces: list[str] = []
    warnings: list[TemplateWarning] = []
    position = 0
    while match := _OPENING.search(masked, position):
        pieces.append(masked[position : match.start()])
        folded, position = _fold_one(masked, match, mask, warnings)
        pieces.append(folded)
    folded = "".join((*pieces, masked[position:]))
    # References such as &nbsp; and the bare & of addresses mean nothing to XML, and pass as they are.
    folded = folded.replace("&", mask.hide("&", 1, "content")) if "&" in folded else folded
    return _aligned(folded, mask), warnings


def _aligned(folded: str, mask: Mask) -> str:
    """Let each tag and token begin on the author's line: the breaks that they hold, and hide, come behind them."""

    def aligned(match: re.Match[str]) -> str:
        height = mask.height(match[0])
        return f"{match[0].replace(chr(10), ' ')}{chr(10) * height}" if height else match[0]

    return _PIECE.sub(aligned, folded)


def _fold_one(masked: str, match: re.Match[str], mask: Mask, warnings: list[TemplateWarning]) -> tuple[str, int]:
    name = match["name"]
    if name is None:
        return _fold_comment(masked, match.start(), mask)
    tag = _REST_OF_TAG.match(masked, match.end())
    if tag is None or masked[tag.end() - 2] == "/":
        end = tag.end() if tag else match.end()
        return masked[match.start() : end], end
    close = _CLOSING[name].search(masked, tag.end())
    if close is None:
        raise TemplateFault(f"<{name}> is never closed", mask.line(masked, match.start()))
    content = masked[tag.end() : close.start()]
    if name not in {"mj-style", "mj-title", "mj-preview"} and "<" in content:
        warnings.extend(_components(masked, (tag.end(), close.start()), name, mask))
    if name not in _NO_MARKUP and "<mj-raw>" in content:
        content = _RAW_VALUES.sub(lambda found: _spanned(found, mask), content)
    cleaned = content if name == "mj-style" else html_content(content, mask)
    hidden = mask.hide(cleaned, 1, "content", mask.height(content)) if content.strip() else ""
    return masked[match.start() : tag.end()] + hidden + close[0], close.end()


def _fold_comment(masked: str, start: int, mask: Mask) -> tuple[str, int]:
    end = masked.find("-->", start)
    if end < 0:
        raise TemplateFault("a comment is never closed", mask.line(masked, start))
    end += 3
    comment = masked[start:end]
    if _CONDITIONAL.match(comment, 4):
        return mask.hide(comment, 1, "content"), end
    # A Jinja statement works inside a comment too, as it would after any other compiler.
    kept = "".join(_statements(comment, mask))
    return kept + "\n" * (mask.height(comment) - mask.height(kept)), end


def _statements(comment: str, mask: Mask) -> list[str]:
    return [match[0] for match in mask.pattern.finditer(comment) if mask[int(match[1])].kind == "statement"]


def _components(masked: str, between: tuple[int, int], parent: str, mask: Mask) -> Iterator[TemplateWarning]:
    """Refuse components within HTML, and yield a warning for tags that only look like one."""
    start, end = between
    content = RAW_TAG.sub("", masked[start:end])
    if "<!--" in content:
        content = _COMMENT.sub(lambda comment: comment["kept"] or "\n" * comment[0].count("\n"), content)
    for match in _FOREIGN_TAG.finditer(content):
        line = mask.line(masked, max(masked.find(match[0], start, end), start))
        if match["name"] in KNOWN or match["name"] in KNOWN_ELSEWHERE:
            raise TemplateFault(f"<{match['end']}{match['name']}> cannot stand inside <{parent}>", line)
        if not match["end"]:
            detail = f"MJML has no component <{match['name']}>, so mail programs get the tag as it is and pass over it."
            yield TemplateWarning(line, "unknown_component", detail)


def _spanned(found: re.Match[str], mask: Mask) -> str:
    """Let values in mj-raw stay an element of their own, since browsers place the letters of each by itself."""
    held = found["held"]
    if held is None or mask.pattern.sub("", held).strip():
        return found[0]
    kinds = {mask[index].kind for index in mask.indices(held)}
    return f"<span>{held}</span>" if kinds == {"expression"} else found[0]


def html_content(text: str, mask: Mask) -> str:
    """Clean HTML that a component holds: no mj-raw left in it, and no comment but conditional ones."""
    if "<" not in text:
        return text.strip()
    text = _COMMENT.sub(lambda match: match["kept"] or "".join(_statements(match[0], mask)), text)
    return RAW_TAG.sub("", text).strip()
