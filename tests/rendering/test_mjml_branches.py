"""Jinja everywhere in MJML: whatever the fields say, what reaches the reader and Outlook is whole HTML."""

import re
from itertools import product
from pathlib import Path

import pytest

from backend.rendering.compiler import compiled
from backend.rendering.engine import check, render
from backend.rendering.model import RenderJob, Source
from backend.rendering.text.flow import text_alternative

FIXTURE = Path(__file__).parents[1] / "fixtures" / "rendering" / "jinja_everywhere.mjml"
SOURCE = Source(
    "mjml", FIXTURE.read_text(encoding="utf-8"), "{% for item in fields.items %}{{ item.name }}{% endfor %}"
)
_COMMENT = re.compile(r"<!--\[if ([^\]]*)\]>(.*?)<!\[endif\]-->", re.DOTALL)
_REVEALED = re.compile(r"<!--\[if !mso\]><!-->|<!--<!\[endif\]-->")
_TAG = re.compile(r"<(/?)(table|tbody|tr|td|th|div|a|p|b|i|head|body|html)\b[^>]*?(/?)>")
_IMPLIED = {("tr", "table"), ("tr", "tbody"), ("td", "tr")}


def fields(count: int, tags: int, *, wide: bool) -> dict[str, object]:
    """Return fields with this many items of this many tags each."""
    items = [
        {"name": f"Item <{number}>", "size": "100x60", "tags": [f"t & {tag}" for tag in range(tags)]}
        for number in range(count)
    ]
    return {"items": items, "wide": wide, "colour": "#c0392b"}


CASES = list(product((0, 1, 3), (0, 1, 3), (True, False)))


@pytest.mark.parametrize(("count", "tags", "wide"), CASES)
def test_every_branch_is_whole(count: int, tags: int, wide: bool) -> None:
    given = fields(count, tags, wide=wide)
    rendered = render(RenderJob("branches", SOURCE, given))
    assert rendered.html is not None
    assert not re.search(r"</?mj-|\{%|\{\{|q[0-9a-f]{20}x", rendered.html)
    html = _REVEALED.sub("", rendered.html)
    for condition, inside in _COMMENT.findall(html):
        assert condition in {"mso", "mso | IE", "lte mso 11"}
        assert "<!--" not in inside
    seen_by_others, seen_by_outlook = _COMMENT.sub("", html), _COMMENT.sub(r"\2", html)
    assert "<!" not in seen_by_others.replace("<!doctype html>", "")
    _assert_nested(seen_by_others)
    _assert_nested(seen_by_outlook)
    assert rendered.text == text_alternative(rendered.html)
    assert seen_by_others.count("</a>") == count


def _assert_nested(html: str) -> None:
    """Say that every element is closed by its own end tag, and that rows and cells stand in tables."""
    stack = ["html"]
    for end, name, empty in _TAG.findall(html.partition("<html")[2]):
        if end:
            assert stack.pop() == name
        elif not empty:
            if name in {"tr", "td"}:
                assert (name, stack[-1]) in _IMPLIED, (name, stack)
            stack.append(name)
    assert stack == []


def test_nothing_of_it_is_slow_or_warned_of() -> None:
    assert compiled("branches", SOURCE).flow is not None
    assert check(SOURCE, fields(2, 2, wide=True)) == []
