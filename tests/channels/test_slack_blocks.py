"""A message as Slack's blocks: what each piece of markup becomes, what is disarmed, and the limits."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.channels import slack_blocks
from backend.rendering.engine import render
from backend.rendering.model import RenderJob, Source
from tests.vendors.slack import blocks_fault

GAP = "\u200b"


def written(html: str) -> str:
    """The text of all blocks, a line for each."""
    found = slack_blocks.blocks(None, "", html)
    return "\n".join(one.text.text if not isinstance(one, slack_blocks.Divider) else "----" for one in found)


def of_markdown(source: str, **fields: object) -> str:
    html = render(RenderJob("", Source("markdown", source), fields)).html
    assert html is not None
    return written(html)


@pytest.mark.parametrize(
    ("markdown", "mrkdwn"),
    [
        ("**bold** and *italic* and ~~gone~~", "*bold* and _italic_ and ~gone~"),
        ("***both***", "*_both_*"),
        ("foo**bar**baz", f"foo{GAP}*bar*{GAP}baz"),
        ("`a < b`", "`a &lt; b`"),
        (
            "[the *page*](https://x.example/?a=1&b=2)",
            "<https://x.example/?a=1&amp;b=2|the> _<https://x.example/?a=1&amp;b=2|page>_",
        ),
        ("<https://x.example/a>", "<https://x.example/a|https://x.example/a>"),
        ("see https://x.example/a, please", "see <https://x.example/a>, please"),
        ("[x](javascript:alert)", "[x](javascript:alert)"),
        ("# One\n## Two\n### Three", "One\nTwo\n*Three*"),
        ("- a\n- b\n  1. c\n  2. d", "• a\n• b\n    1. c\n    2. d"),
        ("3. a\n4. b", "3. a\n4. b"),
        ("> one\n> two\n\nafter", "> one two\n\nafter"),
        ("one\n\ntwo  \nthree", "one\n\ntwo\nthree"),
        ("```\nx = a & b\n  y\n```", "```\nx = a &amp; b\n  y\n```"),
        ("a\n\n---\n\nb", "a\n----\nb"),
        ("| k | v |\n|---|---|\n| a | 1 |\n| bb | <2> |", "```\nk   v\n--  ---\na   1\nbb  &lt;2&gt;\n```"),
        (r"\*not bold\* and 5 * 3", f"*{GAP}not bold* and 5 * 3"),
    ],
)
def test_markdown_becomes_the_markup_of_slack(markdown: str, mrkdwn: str) -> None:
    assert of_markdown(markdown) == mrkdwn


@pytest.mark.parametrize(
    "hostile", ["<!channel>", "<!here|x>", "<@U012345>", "<#C012345>", "<https://evil.example|bank>"]
)
@pytest.mark.parametrize(
    "source",
    [
        "{{ x }}",
        "# {{ x }}",
        "- {{ x }}",
        "> {{ x }}",
        "| {{ x }} |\n|---|",
        "`{{ x }}`",
        "[{{ x }}](https://a.example)",
    ],
)
def test_a_field_can_mention_nobody(source: str, hostile: str) -> None:
    whole = of_markdown(source, x=hostile) + slack_blocks.fallback(hostile, hostile)
    assert hostile not in whole
    assert not any(mark in whole for mark in ("<!", "<@", "<#", "|bank>"))
    assert slack_blocks.blocks(hostile, "x")[0].text.text == slack_blocks.escaped(hostile)  # type: ignore[union-attr]


def test_slack_is_told_to_find_nothing_in_plain_words_by_itself() -> None:
    (section,) = msgspec.to_builtins(slack_blocks.blocks(None, "", "<p>@channel #general</p>"))
    assert section == {"type": "section", "text": {"type": "mrkdwn", "text": "@channel #general", "verbatim": True}}


def test_the_subject_is_the_heading_once() -> None:
    assert len(slack_blocks.blocks("Failed", "", "<h1>Failed</h1><p>x</p>")) == 2
    assert [one.text.text for one in slack_blocks.blocks("Failed", "x")] == ["Failed", "x"]  # type: ignore[union-attr]


def test_a_mail_in_tables_reads_as_its_paragraphs() -> None:
    html = """<html><head><title>no</title><style>p {}</style></head><body><b style="display:none">hidden</b>
      <table role="presentation"><tr><td>
      <table><tr><td><h1>Hello</h1></td><td><img src="x" alt="Logo"></td></tr></table>
      <p>A   plain
      text</p></td></tr></table><!-- note --><script>no()</script></body></html>"""
    assert written(html) == "Hello\nLogo\n\nA plain text"


@pytest.mark.parametrize(
    "html",
    [
        "<p>" + "wörd &amp; <b>bold</b> " * 3000 + "</p>",
        "<p>line</p>" * 5000,
        "<h1>heading</h1>" * 200,
        "<pre>" + "&lt;" * 20_000 + "</pre>",
        "<table>" + "<tr><td>k</td><td>v</td></tr>" * 2000 + "</table>",
        "<table>" + f"<tr><td>{'long ' * 30}</td><td>{'v' * 500}</td></tr>" * 100 + "</table>",
        "<ul>" + "<li>item</li>" * 3000 + "</ul>",
        "<div>" * 5000 + "deep",
    ],
)
def test_what_is_too_much_is_left_out_and_told(html: str) -> None:
    found = msgspec.to_builtins(slack_blocks.blocks("Subject", "", html))
    assert blocks_fault(found) == ""
    assert len(msgspec.json.encode(found).decode()) <= 9_100
    if "deep" not in html:
        assert "shortened" in found[-1]["text"]["text"]
        assert sum(len(str(one)) for one in found) > 2_000
    for block in found:
        text = block.get("text", {}).get("text", "")
        assert not any(text.endswith(part) for part in ("&", "&am", "&amp", "&l", "&lt"))
        assert text.count("```") % 2 == 0
        assert text.count("<") == text.count(">") or "\n> " in text


@given(st.text(max_size=300), st.text(alphabet="<>&*_~`|# -\n\\[]()ab1.", max_size=300))
def test_any_text_keeps_to_the_limits(subject: str, text: str) -> None:
    html = render(RenderJob("", Source("markdown", "{{ x }}"), {"x": text})).html
    for found in (slack_blocks.blocks(subject, text), slack_blocks.blocks(None, text, html)):
        plain = msgspec.to_builtins(found)
        assert not plain or blocks_fault(plain) == ""
    assert slack_blocks.fallback(subject, text)
