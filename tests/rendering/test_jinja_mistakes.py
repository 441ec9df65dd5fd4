"""Mistakes in Jinja: the line is that of the mistake, and the sentence says what to write instead."""

import re
from typing import Any

import pytest

from backend.lib.problems import Problem
from backend.rendering.engine import check, render_many
from backend.rendering.model import Format, Partial, RenderJob, Source

FIELDS: dict[str, Any] = {
    "name": "Ada",
    "sample-id": "S-1",
    "7": "seven",
    "nothing": None,
    "count": 3,
    "zero": 0,
    "soon": "soon",
    "many": [{"kind": "x"}],
    "numbers": [1, 2],
    "plate": {"barcode": "B", "well-id": "A1"},
}
# What no sentence for people holds: masks, HTML's spelling of characters, and how Python and Jinja's parser speak.
_INSIDE = re.compile(
    r"q[0-9a-f]{20}x|&(?:lt|gt|amp|quot|#\d+);|(?<!\|)\b(?:object|NoneType|Traceback|Undefined|Markup|MissingField|dict|int"
    r"|str|isoformat|iterable|subscriptable|positional|keyword argument|required argument|token|print statement|lambda"
    r"|statement block|sequence|unhashable|operand|instances?|identifiers?|Python|module|\w+Error|do_\w+)\b"
    r"|argument\(s\)|has no attribute|sys\.|unexpected|concatenate|<template>|0x[0-9a-f]{6}"
)
_FORMATS: tuple[Format, ...] = ("html", "mjml", "text", "markdown")

# Each is written on the third line of a template; the number says how many lines further down the mistake is.
MISTAKES = [
    # Names.
    ("{{ sample-id }}", 0, 'write fields["sample-id"]'),
    ("{{ sample_id }}", 0, 'write fields["sample-id"]'),
    ("{{ fields.sample_id }}", 0, 'write ["sample-id"]'),
    ("{{ plate.well_id }}", 0, 'write ["well-id"]'),
    ("{{ fields.7 }}", 0, 'a name of digits is written ["7"]'),
    ("{{ fields.1 }}", 0, 'take its members by their names, as in fields["name"]'),
    ("{{ naem }}", 0, "did you mean 'name'?"),
    ("{{ plate.barcod }}", 0, "did you mean 'barcode'?"),
    ("{{ many[0].kid }}", 0, "did you mean 'kind'?"),
    ("{{ many.kind }}", 0, "loop over it or take one item"),
    ("{{ numbers[2] }}", 0, "it has 2, of which the first is number 0"),
    ("{{ fields[:5] }}", 0, "[:5] is taken of a list, and this is a mapping of names"),
    ("{{ numbers['a':] }}", 0, "by whole numbers, as in [0] or [0:5]"),
    ("{{ nothing[0] }}", 0, "null has no item 0; ask for it first by {% if … %}"),
    ("{{ nothing.x }}", 0, "null has no field 'x'; ask for it first"),
    ("{{ count.x }}", 0, "a number has no field 'x'"),
    ("{{ loop.index }}", 0, "'loop' is for the inside of a loop"),
    ("{{ super() }}", 0, "'super' is for blocks"),
    ("{{ caller() }}", 0, "'caller' is for macros"),
    ("{{ self.x() }}", 0, "there is no block 'x'"),
    # Tags that are never closed, or closed by another.
    ("{% for x in many %}\n{{ x.kind }}", 0, "write {% endfor %} where it ends"),
    ("{% if name %}\nx", 0, "write {% endif %} where it ends"),
    ("{% block a %}\nx", 0, "write {% endblock %} where it ends"),
    ("{% macro m() %}\nx", 0, "write {% endmacro %} where it ends"),
    ("{% raw %}\n{{ x", 0, "write {% endraw %} where it ends"),
    ("{% set x %}\nx", 0, "or give a value by {% set name = value %}"),
    ("{% for x in many %}\n{% if x %}\n{% endfor %}", 1, "{% endfor %} on line"),
    ("{% if name %}\n{% endfor %}", 1, "write {% endif %}"),
    ("{% for x in many %}\n{% endblock %}", 1, "write {% endfor %}"),
    ("{% block a %}\n{% endblock b %}", 1, "write {% endblock %}"),
    ("{% if name %}\n{% end %}", 1, "write {% endif %}"),
    ("{% if name %}\n{% endif %}{% endif %}", 1, "closes nothing"),
    ("\n{% else %}", 1, "belongs between {% for %} or {% if %} and its end"),
    ("{% for x in many %}\n{% elif x %}{% endfor %}", 1, "belongs between {% if %} and its end"),
    ("{{ name\n<p>{{ count }}", 0, "write }} where the tag ends"),
    ("{{ name }\n{{ count }}", 0, "write }} where the tag ends"),
    ("{% if name\n{% endif %}", 0, "write %} where the tag ends"),
    ("\n{{ name", 1, "write }} where the tag ends"),
    ("{{ name %}", 0, "closed by }}, not by %}"),
    ("{% if name }}x{% endif %}", 0, "closed by %}, not by }}"),
    ("h1{#id { color: red }\n<p>", 0, "a space between { and # where it is text or CSS"),
    ("{{ 'abc }}\n{{ name }}", 0, "a quotation mark is missing"),
    ("{{ \"abc }}\nhe said \"no\" {{ name }}", 0, "a quotation mark is missing"),
    ("{{ 'it's' }}", 0, "or stands inside of the text"),
    ("{{ {{ name }} }}", 0, "write the name alone, without {{ and }}"),
    ("{% if {{ name }} %}x{% endif %}", 0, "write the name alone, without {{ and }}"),
    # What other languages, and word processors, write.
    ("{% if name = 'x' %}{% endif %}", 0, "write == to compare"),
    ("{{ x = 1 }}", 0, "write {% set name = value %} to give one, or == to compare"),
    ("{% if name %}\n{% elseif count %}{% endif %}", 1, "write {% elif … %}"),
    ("{% if name %}\n{% else if count %}{% endif %}", 1, "write elif in place of 'else if'"),
    ("{% if name && count %}{% endif %}", 0, "write 'and' in place of &&"),
    ("{% if name || count %}{% endif %}", 0, "write 'or' in place of ||"),
    ("{% if !name %}{% endif %}", 0, "write 'not' in place of !"),
    ("{% if name === 'x' %}{% endif %}", 0, "write == in place of ==="),
    ("{% if name <> 'x' %}{% endif %}", 0, "write != in place of <>"),
    ("{{ name ? 'a' : 'b' }}", 0, "write {{ a if condition else b }}"),
    ("{{ name ?? 'b' }}", 0, "write name|default('…')"),
    ("{{ $name }}", 0, "write names without $"),
    ("{{ name->first }}", 0, "write a dot"),
    ("{{ \u201cname\u201d }}", 0, "straight quotation marks"),
    ("{% if count &lt; 3 %}{% endif %}", 0, "write the character itself"),
    ("{% set n += 1 %}", 0, "write {% set n = n + 1 %} to count"),
    ("{% set n++ %}", 0, "write {% set n = n + 1 %} to count"),
    ("{{ name; }}", 0, "has no semicolon"),
    ("{% foreach x in many %}", 0, "write {% for item in list %}"),
    ("{% unless name %}", 0, "write {% if not … %}"),
    ("{% fi %}", 0, "write {% endif %} or {% endfor %}"),
    ("{% ednfor %}", 0, "did you mean {% endfor %}?"),
    # Half of a tag.
    ("{{ }}", 0, "there is nothing to print"),
    ("{% if %}{% endif %}", 0, "write {% if name %}"),
    ("{{ name| }}", 0, "a name is missing before }}"),
    ("{{ name. }}", 0, "a name is missing behind the dot"),
    ("{{ 1 + }}", 0, "a name or a value is missing before }}"),
    ("{{ name['a' }}", 0, "] is missing"),
    ("{{ name) }}", 0, "')' closes no bracket"),
    ("{{ name\n\nother }}", 2, "}} should come before it"),
    ("{{ 'C:\\users' }}", 0, "write \\\\ for the backslash itself"),
    ("{% set x = %}", 0, "{% set name = value %}"),
    ("{% set sample-id = 1 %}", 0, "a name has no hyphen"),
    ("{% set 1 = 2 %}", 0, "only a name can be given a value"),
    ("{% for x of many %}{% endfor %}", 0, "{% for item in list %}"),
    ("{% block my-block %}{% endblock %}", 0, "write my_block"),
    ("{% macro m %}{% endmacro %}", 0, "{% macro name(arguments) %}"),
    ("{% macro m(a=1, b) %}{% endmacro %}", 0, "behind those without one"),
    ("{% include %}", 0, "write {% include 'NAME' %}"),
    ("{% import 'X_A' %}", 0, "{% import 'NAME' as name %}"),
    ("{% from 'X_A' %}", 0, "{% from 'NAME' import macro %}"),
    ("{% call m %}{% endcall %}", 0, "{% call name() %}"),
    # What is not there.
    ("{{ name|uper }}", 0, "did you mean 'upper'?"),
    ("{{ name is defind }}", 0, "did you mean 'defined'?"),
    ("{{ nmaespace() }}", 0, "did you mean 'namespace'?"),
    ("{{ len(many) }}", 0, "write {{ value|length }}"),
    ("{{ upper(name) }}", 0, "write {{ value|upper }}"),
    ("{% include 'X_PATR' %}", 0, "there is no partial or layout named 'X_PATR'; did you mean 'X_PART'?"),
    ("{% include name %}", 0, "the name of a partial or layout in quotes"),
    ("{% import 'X_MACROS' as m %}\n{{ m.rows() }}", 1, "'X_MACROS' has no macro 'rows'; did you mean 'row'?"),
    ("{% from 'X_MACROS' import rwo %}\n{{ rwo() }}", 1, "'X_MACROS' has no macro or value 'rwo'"),
    # Arguments.
    ("{{ name|replace('a') }}", 0, "write |replace(old, new, count), of which count may be left out"),
    ("{{ name|upper(1) }}", 0, "write |upper without brackets"),
    ("{{ many|join(',', sep=1) }}", 0, "write |join("),
    ("{{ many|groupby }}", 0, "write |groupby(attribute"),
    ("{{ count is divisibleby }}", 0, "write is divisibleby(num)"),
    ("{{ numbers|map('replace', 'a')|list }}", 0, "'replace' needs"),
    ("{{ name.replace('a') }}", 0, "'replace' is given more or fewer values"),
    ("{% macro m(a) %}{% endmacro %}\n{{ m(1, 2) }}", 1, "the macro 'm' takes 1 in its brackets"),
    ("{% macro m(a) %}{% endmacro %}\n{{ m(b=1) }}", 1, "the macro 'm' has no argument 'b'"),
    ("{% macro m(a) %}{{ a|length }}{% endmacro %}\n{{ m() }}", 0, "is not given its argument 'a'"),
    ("{% for x in many recursive %}{{ loop() }}{% endfor %}", 0, "loop takes a list in its brackets"),
    # Values.
    ("{{ None|length }}", 0, "null has no length: ask for it first"),
    ("{{ count|length }}", 0, "a number has no length"),
    ("{{ soon|date }}", 0, "a date such as 2026-03-02 or 2026-03-02T14:05:00Z, and this is a text that is none"),
    ("{{ nothing|date }}", 0, "and this is null"),
    ("{{ '2026-03-02'|date('%Q') }}", 0, "such as %d %B %Y"),
    ("{{ name|number }}", 0, "a number, or a text that is one, and this is a text that is none"),
    ("{{ many|number }}", 0, "and this is a list"),
    ("{{ 1|number(2, 'klingon') }}", 0, "write it as in 'en', 'en_GB' or 'de_CH'"),
    ("{% for x in count %}{% endfor %}", 0, "a list is needed here, and this is a number"),
    ("{% for x in nothing %}{% endfor %}", 0, "a list is needed here, and this is null"),
    ("{% for a, b in numbers %}{% endfor %}", 0, "one name for each"),
    ("{{ count / zero }}", 0, "ask first whether the number is 0"),
    ("{{ count % zero }}", 0, "ask first whether the number is 0"),
    ("{{ name + 1 }}", 0, "write ~ to join, or turn a text into a number by |int or |float"),
    ("{{ 1 + name }}", 0, "write ~ to join"),
    ("{{ name - 1 }}", 0, "by |int or |float"),
    ("{{ nothing * 2 }}", 0, "give null a value by |default(0, true)"),
    ("{{ numbers + 1 }}", 0, "write brackets around one item, [item]"),
    ("{{ count > name }}", 0, "cannot be compared"),
    ("{{ [1, 'a']|sort }}", 0, "cannot be compared or put in order"),
    ("{{ 'x' in count }}", 0, "looks into a text, a list or a mapping"),
    ("{{ -name }}", 0, "'-' does not work with a text"),
    ("{{ name|round }}", 0, "a number is needed, and this is a text"),
    ("{{ name|abs }}", 0, "'abs' does not work with a text"),
    ("{{ '%d'|format(name) }}", 0, "%s is for a text"),
    ("{{ '%s %s'|format(name) }}", 0, "the format does not fit"),
    ("{{ '{} {}'.format(1) }}", 0, "the format does not fit"),
    ("{{ numbers|dictsort }}", 0, "the filter 'dictsort' does not work with a list"),
    ("{{ name|truncate(1) }}", 0, "a length of at least 3"),
    ("{{ range(10**9)|list }}", 0, "range counts to 100,000"),
    ("{{ cycler() }}", 0, "at least one value"),
    ("{{ name.upper }}", 0, "write brackets after its name"),
    ("{{ plate() }}", 0, "there is no function or macro named 'plate'"),
    ("{{ many|map('upper') }}", 0, "add |list or |join"),
    # Where things stand, and how much they take.
    ("{% break %}", 0, "belongs into a loop"),
    ("{% set count.x = 1 %}", 0, "begin with {% set count = namespace() %}"),
    ("{% block a %}{% endblock %}\n{% block a %}{% endblock %}", 1, "write {{ self.a() }}"),
    ("{% for loop in many %}{% endfor %}", 0, "an item cannot be called 'loop'"),
    ("{% autoescape name %}{% endautoescape %}", 0, "true or false"),
    ("{{ numbers.append(1) }}", 0, "write {% set ns.all = ns.all + [item] %}"),
    ("{% macro m() %}{{ m() }}{% endmacro %}\n{{ m() }}", 0, "calls itself without an end"),
    ("{{ 10 ** 99999 }}", 0, "too many digits"),
]  # fmt: skip
_PAGE = "<mjml><mj-body><mj-section><mj-column><mj-text>{}</mj-text></mj-column></mj-section></mj-body></mjml>"


def template(form: Format, mistake: str) -> Source:
    """Write a mistake on the third line of a template."""
    made = "html" if form == "mjml" else form
    partials = (
        Partial("X_MACROS", made, "{% macro row(x) %}{{ x }}{% endmacro %}"),
        Partial("X_PART", made, "part"),
    )
    text = f"\n\n{mistake}\n"
    return Source(form, _PAGE.replace("{}", text, 1) if form == "mjml" else f"one{text}", None, partials)


def refusal(source: Source) -> str | None:
    """Return the sentence that refuses a template when it is registered."""
    try:
        check(source, None if source.fragment else FIELDS)
    except Problem as problem:
        return problem.detail
    return None


def fault(source: Source) -> str:
    """Return the sentence that refuses its message."""
    (result,) = render_many([RenderJob("", source, FIELDS)])
    assert isinstance(result, Problem), result
    return result.detail


def told(source: Source) -> str:
    """Return the sentence that refuses a template, or its message."""
    return refusal(source) or fault(source)


@pytest.mark.parametrize(("mistake", "further", "words"), MISTAKES, ids=[one[0] for one in MISTAKES])
def test_is_told_with_its_line_and_what_to_write(mistake: str, further: int, words: str) -> None:
    for form in _FORMATS:
        source = template(form, mistake)
        detail = told(source if "X_" in mistake else Source(form, source.source))
        assert detail.startswith(f"Line {3 + further}: "), (form, detail)
        assert words in detail, (form, detail)
        assert not _INSIDE.search(detail), (form, detail)


@pytest.mark.parametrize(("mistake", "further", "words"), MISTAKES, ids=[one[0] for one in MISTAKES])
def test_is_told_of_a_subject(mistake: str, further: int, words: str) -> None:
    if "X_" in mistake:
        return
    detail = told(Source("text", "text", mistake))
    assert detail.startswith("Subject: "), detail
    assert words in detail, detail
    assert not _INSIDE.search(detail), detail


@pytest.mark.parametrize(("mistake", "further", "words"), MISTAKES, ids=[one[0] for one in MISTAKES])
def test_is_told_of_a_partial_by_its_name_and_line(mistake: str, further: int, words: str) -> None:
    """Where it is registered by its line; where a template is made with it, by its name and line."""
    written = f"one\n\n{mistake}\n"
    others = template("html", "").partials
    refused = refusal(Source("html", written, None, others, fragment=True))
    if refused is not None:
        assert refused.startswith(f"Line {3 + further}: ")
        assert words in refused
        return
    include = "{% include 'X_HERE' %}"
    partials = (*others, Partial("X_HERE", "html", written))
    for source in (
        Source("html", include, None, partials),
        Source("mjml", _PAGE.replace("{}", include), None, partials),
    ):
        detail = fault(source)
        assert detail.endswith(f"(line {3 + further} of 'X_HERE')."), detail
        assert not _INSIDE.search(detail), detail


def test_a_partial_that_was_never_checked_is_named_too() -> None:
    for mistake, _, _ in MISTAKES:
        part = Partial("X_HERE", "html", f"one\n\n{mistake}\n")
        (result,) = render_many([RenderJob("", Source("html", "{% include 'X_HERE' %}", None, (part,)), FIELDS)])
        if isinstance(result, Problem):
            assert not _INSIDE.search(result.detail), result.detail
            assert re.match(r"Line 1: |.*\(line \d+ of 'X_HERE'\)\.$", result.detail), result.detail


def test_a_message_that_is_too_long_says_so() -> None:
    loops = "{% for i in range(9999) %}{% for j in range(9999) %}xxxxxxxxxxxxxxxx{% endfor %}{% endfor %}"
    assert fault(Source("html", loops)) == "The message is longer than 10,000,000 characters."


def test_loops_in_loops_in_loops_are_told() -> None:
    loops = "{% for i in numbers %}" * 30 + "x" + "{% endfor %}" * 30
    assert told(Source("html", loops)) == "Loops stand more than twenty deep in each other."


def test_no_source_takes_long() -> None:
    for piece in (
        "{{",
        "{% if name %}",
        "{{ 'a",
        '{{ "',
        "{#",
        "{",
        "{{ {",
        "{{ 'x' ",
        "{% raw %}",
        "{% end",
    ):
        for end in ("", "{{ !name }}"):
            sentence = told(Source("text", piece * (20_000 // len(piece)) + end))
            assert not _INSIDE.search(sentence), sentence


def test_a_template_extends_one_layout_and_no_more() -> None:
    for form in _FORMATS:
        layout = Partial("X_LAYOUT", form, "<mjml><mj-body></mj-body></mjml>")
        source = Source(form, "{% extends 'X_LAYOUT' %}\n{% extends 'X_LAYOUT' %}", None, (layout,))
        assert told(source).startswith("Line 2: a template extends one layout, and this one does on line 1 already")
