"""Says what is wrong with MJML that cannot be parsed: which tag, on which line, and what to write instead."""

import re
from difflib import get_close_matches
from typing import NamedTuple

from backend.rendering.components import CHILDREN, KNOWN
from backend.rendering.faults import TemplateFault

_TAG = re.compile(
    r"""<!\[CDATA\[.*?\]\]>|<(?P<end>/?)(?P<name>[A-Za-z][\w.:-]*)(?P<rest>(?:[^<>"']|"[^"]*"|'[^']*')*+)(?P<close>>?)""",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r"""[^\s"'<>/=]+(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'<>=]+))?""")
_NAME = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)


class _Open(NamedTuple):
    name: str
    line: int


def mistake(skeleton: str, first: int) -> TemplateFault | None:
    """Return the first mistake in the tags of a skeleton whose first line has the number ``first``."""
    opened: list[_Open] = []
    position = 0
    while (start := skeleton.find("<", position)) >= 0:
        line = first + skeleton.count("\n", 0, start)
        tag = _TAG.match(skeleton, start)
        if tag is None:
            return TemplateFault("a '<' stands alone here: write &lt; where it is text", line)
        position = tag.end()
        if tag["name"] is None:
            continue
        if fault := _in_tag(tag, line) or _in_order(tag, line, opened):
            return fault
    return TemplateFault(f"<{opened[-1].name}> is never closed", opened[-1].line) if opened else None


def nearest(name: str) -> str:
    """Ask whether the author meant a component that is written nearly alike."""
    if name.lower() in KNOWN:
        return f"; MJML is written in small letters: <{name.lower()}>"
    close = get_close_matches(name[:100], sorted(KNOWN), n=1, cutoff=0.7)
    return f"; did you mean <{close[0]}>?" if close else ""


def belongs(tag: str) -> str:
    """Say where a component may stand."""
    parents = [f"<{parent}>" for parent, children in CHILDREN.items() if tag in children]
    return f": it belongs directly into {' or '.join(parents)}" if parents else ""


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
    for attribute in _ATTRIBUTE.findall(rest):
        written = attribute.partition("=")[0].strip()
        if not _NAME.fullmatch(written):
            return TemplateFault(f"'{written[:40]}' cannot be the name of an attribute of <{name}>", line)
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
