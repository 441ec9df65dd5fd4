"""Templates from files: text in UTF-8 within bounds, the format seen from content and name."""

import pytest

from backend.lib.problems import Problem
from backend.registry import template_files


@pytest.mark.parametrize(
    ("name", "source", "form"),
    [
        ("report.txt", "<mjml>\n<mj-body/></mjml>", "mjml"),
        ("report.html", "Hello {{ name }}", "html"),
        ("report.md", "Hello", "markdown"),
        ("report", "<!DOCTYPE html><html></html>", "html"),
        ("report.mjml", "<p>no MJML at all</p>", "html"),
        ("report", '{% extends "base.html" %}', "html"),
        ("report", "# Title\n\n* one\n* two", "markdown"),
        ("notes.txt", "# not a title, only a number sign", "text"),
        ("report", "Hello {{ name }}, 3 < 4", "text"),
    ],
)
def test_the_format_is_seen_from_content_and_name(name: str, source: str, form: str) -> None:
    assert template_files.read(name, source.encode()).format == form


def test_line_ends_and_the_byte_order_mark_are_made_plain() -> None:
    read = template_files.read("C:\\mail\\sample_report-v2.txt", "\ufeffa\r\nb\rc".encode())
    assert read.source == "a\nb\nc"
    assert read.name == "Sample report v2"
    assert template_files.identifier_from(read.name) == "SAMPLE_REPORT_V2"


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"a\nb\xff", r"UTF-8 \(see line 2\)"),
        (b"a\n\x00", "line 2 holds a control"),
        (b"x" * 262_145, "256 KiB"),
    ],
)
def test_what_is_no_text_is_refused_in_a_sentence(raw: bytes, words: str) -> None:
    with pytest.raises(Problem, match=words):
        template_files.read("file", raw)


@pytest.mark.parametrize(
    ("name", "identifier"), [("Über", "BER"), ("é", ""), ("1st notice", "ST_NOTICE"), ("x" * 99, "X" * 64)]
)
def test_an_identifier_is_suggested_where_it_can_be(name: str, identifier: str) -> None:
    assert template_files.identifier_from(name) == identifier
