"""The text alternative reads as a person would have typed it."""

import time

import pytest

from backend.rendering.text.flow import text_alternative


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", ""),
        ("<h1>Title</h1><p>One  two\nthree</p><p>Four</p>", "Title\n\nOne two three\n\nFour"),
        ("<ul><li>a</li><li>b</li></ul>", "  * a\n  * b"),
        ("<ol><li>a</li><li>b</li></ol>", " 1. a\n 2. b"),
        (
            '<p>See <a href="https://x.example/a?b=1&amp;c=2">the run</a>.</p>',
            "See the run (https://x.example/a?b=1&c=2).",
        ),
        ('<a href="https://x.example">https://x.example</a>', "https://x.example"),
        ('<a href="mailto:a@x.example">a@x.example</a>', "a@x.example"),
        ('<a href="javascript:alert(1)">x</a>', "x"),
        ('<p>a<img src="x" alt="chart">b</p>', "a chart b"),
        ("<table><tr><th>Key</th><th>Value</th></tr><tr><td>a</td><td>b</td></tr></table>", "Key  Value\na    b"),
        ('<table role="presentation"><tr><td>a</td></tr><tr><td>b</td></tr></table>', "a\nb"),
        ('<div style="display:none">unseen</div><p>seen</p>', "seen"),
        ("<head><title>t</title><style>.a{}</style></head><body><script>x</script>a&nbsp;b\u200b</body>", "a b"),
        ("a<br><br><br><br>b", "a\n\nb"),
        ("<p>5 &lt; 6 &amp; ü 🧪</p>", "5 < 6 & ü 🧪"),
        ("<!--[if mso]><p>no</p><![endif]--><p>yes</p>", "yes"),
    ],
)
def test_reads_well(html: str, text: str) -> None:
    assert text_alternative(html) == text


@pytest.mark.parametrize(
    "html",
    [
        "<b>x" * 60_000,
        "<b>" * 40_000 + "</i>" * 40_000,
        "<b>" * 40_000 + "<td>x" * 40_000,
        "<table>" * 20_000 + "x" + "</table>" * 20_000,
        "<table><tr><td>" * 20_000,
        "<ul><li>x" * 20_000,
        "<a href='https://x.example'>" * 40_000,
        '<a "' * 60_000,
        "<a '" + '<b "' * 60_000,
        "<!--" * 60_000,
        "<style>" * 40_000,
        "<pre>" * 40_000,
        "&" * 200_000,
        "<br> " * 60_000,
        "<" * 200_000,
    ],
    ids=lambda html: html[:12],
)
def test_any_html_is_read_in_linear_time(html: str) -> None:
    began = time.process_time()
    assert len(text_alternative(html)) < 10_000_000
    assert time.process_time() - began < 4
