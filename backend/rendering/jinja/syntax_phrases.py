"""What Jinja's parser says, for people who write templates: each of its phrases as what to write instead."""

import re
from collections.abc import Callable

_TOKENS = {
    "end of print statement": "}}",
    "end of statement block": "%}",
    "begin of print statement": "{{",
    "begin of statement block": "{%",
    "end of template": "the end of the template",
    "integer": "a number",
    "float": "a number",
    "string": "a text in quotes",
    "name": "a name",
}
_ENDS = frozenset({"}}", "%}"})
_BRACKETS = frozenset(")]}")


def phrase(message: str) -> str:
    """Return what a message of Jinja's parser or compiler means, as a clause."""
    for pattern, said in _PHRASES:
        found = pattern.fullmatch(message)
        if found is not None:
            return said(*found.groups()) if callable(said) else said
    return "this cannot be read as Jinja"


def _token(name: str) -> str:
    return _TOKENS.get(name, f"'{name}'")


def _expected(wanted: str, got: str) -> str:
    expected, found = _token(wanted), _token(got)
    if found in _ENDS:
        return f"{expected} is missing before {found}"
    if expected in _ENDS:
        return f"{found} cannot stand here: {expected} should come before it"
    return f"{expected} is expected here, not {found}"


def _unexpected(got: str) -> str:
    found = _token(got)
    if found in _ENDS:
        return f"a name or a value is missing before {found}"
    if got in _BRACKETS:
        return f"'{got}' closes no bracket"
    return f"{found} cannot stand here"


_Said = str | Callable[..., str]
_PHRASES: list[tuple[re.Pattern[str], _Said]] = [
    (re.compile(pattern, re.DOTALL), said)
    for pattern, said in (
        (r"unexpected char ['\"](.+)['\"] at \d+", lambda char: f"the character {char} means nothing in Jinja"),
        (r"expected token '(.*)', got [\"'](.*)[\"']", _expected),
        (r"Expected an expression, got '(.*)'", _unexpected),
        (r"unexpected '(.*)', expected '(.*)'", lambda got, wanted: f"{wanted} is missing before {got}"),
        (r"unexpected [\"'](.*)[\"']", _unexpected),
        (r"unexpected end of template, expected '(.*)'\.", lambda wanted: f"{_token(wanted)} is missing at the end"),
        (r"Unexpected end of template\..*", "a tag is never closed"),
        (r"Encountered unknown tag '(.*?)'\..*", lambda tag: f"there is no tag '{tag}' in Jinja"),
        (r"tag name expected", "the name of a tag, such as if or for, is missing behind {%"),
        (r"expected (?:name or number|subscript expression)", "a name is missing behind the dot or bracket"),
        (
            r"invalid syntax for function call expression",
            "arguments that have a name come behind those that have none, and '*' and '**' last",
        ),
        (r"expected call", "call takes a macro with brackets: {% call name() %}"),
        (r"non-default argument follows default argument", "arguments with a default come behind those without one"),
        (r"can't assign to '.*'", "only a name can be given a value, as in {% set name = value %}"),
        (r"names starting with an underline can not be imported", "a name that begins with _ cannot be imported"),
        (r"You cannot chain multiple tests with is", "'is' asks one thing at a time: write 'and' between two"),
        (r"Block names in Jinja have to be .*", "the name of a block has letters, digits and _ only, no hyphen"),
        (r"Required blocks can only contain .*", "a required block stays empty: the template fills it"),
        (
            r"block '(.*)' defined twice",
            lambda name: f"the block '{name}' is there twice: give the second another name",
        ),
        (r"cannot use extend from a non top-level scope", "extends stands outside of all blocks and loops"),
        (r"Can't assign to special loop variable .*", "an item cannot be called 'loop', which is the loop itself"),
        (r"When defining macros or call blocks .*", "the argument 'caller' of a macro needs a default"),
        (r"No (filter|test) named '(.*)'\.", lambda what, name: f"there is no {what} named '{name}'"),
        (r"Invalid character in identifier", "a name holds a character that no name may have"),
        (r"Missing end of comment tag", "a comment begins here with {# and is never closed: write #} where it ends"),
        (r"Missing end of raw directive", "{% raw %} is never closed: write {% endraw %} where it ends"),
        (
            r".*(?:escape|\\N).*",
            "a backslash begins a special character in a text: write \\\\ for the backslash itself",
        ),
        (r"'?(break|continue)'? .*loop.*", lambda tag: f"{tag} stands outside of a loop"),
    )
]
