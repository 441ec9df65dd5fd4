"""What Python and Jinja say when a template does with a value what cannot be done, as people would say it.

Nothing of it is shown that is not known here: it would name what nobody who writes a template has ever seen.
"""

import re
from types import TracebackType

_KINDS = {
    "str": "a text",
    "Markup": "a text",
    "int": "a number",
    "float": "a number",
    "bool": "a truth value",
    "NoneType": "null",
    "list": "a list",
    "tuple": "a list",
    "dict": "a mapping of names",
    "range": "a list",
    "MissingField": "a missing field",
    "Undefined": "a missing field",
    "Macro": "a macro",
    "Namespace": "a namespace",
    "generator": "an unfinished list",
    "method": "something to call",
    "builtin_function_or_method": "something to call",
    "function": "something to call",
}
_NUMBER = "turn a text into a number by |int or |float"
_NULL = "ask for it first by {{% if … %}}, or write |default(…, true)"
_FORMAT = "the format does not fit the values that it is given: %s is for a text, %d for a number, %.2f for decimals"
_PREFIXES = re.compile(r"^(?:sync_)?do_|^test_")
_RENAMED = {"select_or_reject": "select"}
_ADDED = frozenset({"context", "environment", "eval_ctx"})
_FILTERS = {"jinja2.filters": "filter", "jinja2.tests": "test", "backend.rendering.jinja.filters": "filter"}


def kind(name: str) -> str:
    """Name what a Python type is to people."""
    return _KINDS.get(name.rpartition(".")[2], "this value")


def phrase(message: str) -> str | None:
    """Return what a message of Python or Jinja means, as a clause; None for one that is not known."""
    for pattern, said in _PHRASES:
        found = pattern.fullmatch(message)
        if found is not None:
            return said.format(**{name: _word(name, value or "") for name, value in found.groupdict().items()})
    return None


def in_general(traceback: TracebackType | None) -> str:
    """Say of what nothing better is known which filter or test does not work, and with what kind of value."""
    said = "this does not work with the values that it is given"
    while traceback is not None:
        frame = traceback.tb_frame
        what = _FILTERS.get(frame.f_globals.get("__name__", ""))
        taken = [one for one in frame.f_code.co_varnames[: frame.f_code.co_argcount] if one not in _ADDED]
        if what is not None and taken:
            value = kind(type(frame.f_locals.get(taken[0])).__name__)
            return f"the {what} '{_plain(frame.f_code.co_name)}' does not work with {value}"
        traceback = traceback.tb_next
    return said


def _word(name: str, value: str) -> str:
    if name in {"one", "other"}:
        return kind(value)
    return _plain(value) if name == "call" else value[:80]


def _plain(name: str) -> str:
    plain = _PREFIXES.sub("", name.rpartition(".")[2].strip("_"))
    return _RENAMED.get(plain, plain)


_OF_FORMATS = (
    r"not (?:enough|all) arguments .*|unsupported format character.*|incomplete format.*|format requires a mapping"
    r"|Unknown format code.*|Invalid format specifier.*|Replacement index.*|Single '.' encountered.*|\\* wants int"
    r"|tuple index out of range|cannot switch from.*|expected '}' before end of string|(?:precision|width) too big.*"
)
_TYPE = r"'(?P<one>[\w.]+)'"
_CALL = r"(?P<call>[\w.<>]+?)(?:\(\))?"
_PHRASES: list[tuple[re.Pattern[str], str]] = [
    (re.compile(pattern, re.DOTALL), said)
    for pattern, said in (
        # Operators.
        (
            r"unsupported operand type\(s\) for \+: '(?:str|Markup)' and .*|can only concatenate str \(.*",
            "'+' does not join a text with another kind of value: write ~ to join, or " + _NUMBER,
        ),
        (
            r"unsupported operand type\(s\) for \+: '(?P<one>int|float)' and '(?P<other>str|Markup)'",
            "'+' does not work between {one} and {other}: write ~ to join, or " + _NUMBER,
        ),
        (r"can only concatenate list .*", "'+' joins a list with a list alone: write brackets around one item, [item]"),
        (
            rf"unsupported operand type\(s\) for (?P<sign>\S+?)(?: or pow\(\))?: {_TYPE} and '(?P<other>[\w.]+)'",
            "'{sign}' does not work between {one} and {other}: "
            + _NUMBER
            + ", and give null a value by |default(0, true)",
        ),
        (
            rf"'(?P<sign>[<>]=?)' not supported between instances of {_TYPE} and '(?P<other>[\w.]+)'",
            "{one} and {other} cannot be compared or put in order: " + _NUMBER,
        ),
        (rf"bad operand type for unary (?P<sign>.): {_TYPE}", "'{sign}' does not work with {one}: " + _NUMBER),
        (rf"bad operand type for {_CALL}: {_TYPE}", "'{call}' does not work with {one}: " + _NUMBER),
        (rf"can't multiply sequence by non-int of type {_TYPE}", "'*' does not work with {one} here: " + _NUMBER),
        (r"(?:float |integer )?(?:division|modulo).*by zero|.*zero to a negative power", "division by zero: ask first"),
        (
            rf"argument of type {_TYPE} is not .*",
            "'in' looks into a text, a list or a mapping, and this is {one}",
        ),
        # Values of another kind than is asked for.
        (r"'NoneType' object is not iterable", "a list is needed here, and this is null: " + _NULL),
        (rf"(?:{_TYPE} object is not iterable|argument must be iterable)", "a list is needed here, and this is {one}"),
        (r"object of type 'NoneType' has no len\(\)", "null has no length: " + _NULL),
        (rf"object of type {_TYPE} has no len\(\)", "{one} has no length: a text, a list or a mapping has"),
        (
            r"cannot unpack .*|(?:not enough|too many) values to unpack.*",
            "the loop or set names another number of values than there are: one name for each",
        ),
        (rf"{_TYPE} object is not (?:subscriptable|a mapping)", "{one} has no members to be taken by brackets"),
        (rf"{_TYPE} object is not callable", "{one} cannot be called: leave out the brackets after it"),
        (rf"{_TYPE} object cannot be interpreted as an integer", "a whole number is needed here, and this is {one}"),
        (
            r"(?:a real number is required|must be real number), not (?P<one>\w+)",
            "a number is needed, and this is {one}",
        ),
        (r"type (?P<one>\w+) doesn't define __round__ method", "a number is needed, and this is {one}: " + _NUMBER),
        (
            r"could not convert string to float.*|invalid literal for .*",
            "a number is needed here, and this is a text that is none",
        ),
        (r"(?:\w+ indices|slice indices) must be .*", "items of a list are taken by whole numbers, as in [0] or [0:5]"),
        (
            r"unhashable type: 'slice'|slice\(.*",
            "a part such as [:5] is taken of a list, and this is a mapping of names",
        ),
        (rf"unhashable type: {_TYPE}", "{one} cannot be the name of a member"),
        (
            r"Object of type .* is not JSON serializable",
            "tojson writes values alone: add |list, or leave out what is none",
        ),
        (r"Exceeds the limit .* digits.*", "a number with too many digits"),
        (r"Range too big.*", "range counts to 100,000 at most"),
        # Formats.
        (r"%\w format: .*, not (?P<one>\w+)", _FORMAT + "; this value is {one}"),
        (
            _OF_FORMATS,
            _FORMAT,
        ),
        (
            r"can't handle positional and keyword arguments.*",
            "format takes its values in their order, or by their names",
        ),
        # Arguments.
        (r".*__call__\(\) missing .*", "loop takes a list in its brackets, as in loop(item.children)"),
        (
            rf"{_CALL} missing \d+ required (?:positional|keyword-only) arguments?: (?P<names>.*)",
            "'{call}' needs {names} in its brackets",
        ),
        (
            rf"{_CALL} got (?:an unexpected|multiple values for).*argument '(?P<name>\w+)'.*",
            "'{call}' takes no '{name}'",
        ),
        (rf"{_CALL} takes .*positional arguments? but .*", "'{call}' is given more in its brackets than it takes"),
        (
            rf"{_CALL} (?:takes|expected) (?:no|exactly|at least|at most|from|\d).*",
            "'{call}' is given more or fewer values in its brackets than it takes",
        ),
        (rf"{_CALL} argument .* must be .*, not (?P<one>[\w.]+)", "'{call}' does not take {one} there"),
        (r"[Uu]nexpected keyword argument '(?P<name>.*)'", "there is no argument '{name}' here"),
        (r"map requires a filter argument", "map takes the name of a filter, or attribute='name'"),
        (r"Missing parameter for attribute name", "this filter takes the name of an attribute in quotes"),
        (r"expected length >= (?P<least>\d+), got .*", "truncate takes a length of at least {least}"),
        (r"[Cc]an only get item pairs from a mapping\.?", "items goes through a mapping of names, and this is none"),
        (r"You can only sort by either .*", "dictsort sorts by 'key' or by 'value'"),
        (r"method must be common, ceil or floor", "round takes the methods 'common', 'ceil' and 'floor'"),
        (r"(?:no items for cycling given|at least one item has to be provided)", "cycling needs at least one value"),
        (
            r"Invalid character in attribute name: .*",
            "xmlattr: the name of an attribute has a space or one of / > = in it",
        ),
        (r".* is not a valid URI scheme prefix\.", "urlize takes schemes such as 'https:' or 'mailto:'"),
        # Macros, blocks, partials.
        (r"too many statically nested blocks.*", "loops stand more than twenty deep in each other"),
        (
            r"macro '(?P<name>.*)' takes no keyword argument '(?P<word>.*)'",
            "the macro '{name}' has no argument '{word}'",
        ),
        (
            r"macro '(?P<name>.*)' takes not more than (?P<most>\d+) argument\(s\)",
            "the macro '{name}' takes {most} in its brackets and no more",
        ),
        (r"macro '(?P<name>.*)' was invoked with two values.*", "the macro '{name}' is given its caller twice"),
        (r"parameter '(?P<name>.*)' was not provided", "the macro is not given its argument '{name}'"),
        (
            r"(?:the|included) template '(?P<name>.*)' \(imported on .*\) does not export .* '(?P<word>.*)'",
            "'{name}' has no macro or value '{word}'",
        ),
        (
            r"cannot assign attribute on non-namespace object",
            "a member can be set in a namespace alone: begin with {{% set ns = namespace() %}}",
        ),
        (
            r"The loop must have the 'recursive' marker.*",
            "loop(…) is for {{% for … recursive %}}, which says so itself",
        ),
        (r"[Tt]here is no parent block called '(?P<name>.*)'\.?", "super() finds no block '{name}' in a layout"),
        (r"Required block '(?P<name>.*)' not found", "the layout needs the block '{name}'"),
        (r"extended multiple times", "a template extends one layout and no more"),
        (r"No (?P<what>filter|test) named '(?P<name>.*)'(?: found)?\.", "there is no {what} named '{name}'"),
        (
            r"[Nn]o (?P<which>first|last|random) item, sequence was empty\.?",
            "there is no {which} item, for the list is empty",
        ),
        (r"[Nn]o aggregated item, sequence was empty\.?", "there is no least or greatest item, for the list is empty"),
        (r".* is not safely callable", "this cannot be called"),
    )
]
