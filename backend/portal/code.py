"""Programs that send a notification, ready to run, in the languages of client systems: a template of text for each.

None holds a secret: each takes it from the environment variable ``CARILLON_CLIENT_SECRET``.
"""

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from backend.lib import resources

_FOLDER = resources.folder("portal_templates") / "code"


class Program(msgspec.Struct, frozen=True):
    """A program: its language, the file that it is saved as, the command that runs it, and its text."""

    language: str
    file: str
    command: str
    text: str


def _json(body: dict[str, Any]) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False)


def _python(value: Any, indent: str = "") -> str:
    """Write JSON data as Python: strings and numbers are written alike, only three words are other ones."""
    inner = f"{indent}    "
    if isinstance(value, dict) and value:
        members = [f"{inner}{_python(name)}: {_python(one, inner)},\n" for name, one in value.items()]
        return f"{{\n{''.join(members)}{indent}}}"
    if isinstance(value, list) and value:
        return f"[\n{''.join(f'{inner}{_python(one, inner)},{chr(10)}' for one in value)}{indent}]"
    if value is None or isinstance(value, bool):
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def _java(body: dict[str, Any]) -> str:
    """Write JSON as strings of Java, a line each; a source file's encoding is the machine's, so in ASCII."""
    return "\n        + ".join(json.dumps(line) for line in _json(body).split("\n"))


def _r(body: dict[str, Any]) -> str:
    """Write JSON as a raw string of R, in ASCII as for Java; its end must not stand within."""
    text, dashes = json.dumps(body, indent=2), "-"
    while f'){dashes}"' in text:
        dashes += "-"
    return f'r"{dashes}({text}){dashes}"'


def _shell(body: dict[str, Any]) -> str:
    """Write JSON to stand between single quotes, within which a shell takes nothing for its own but such a quote."""
    return _json(body).replace("'", "\\u0027")


_LANGUAGES: tuple[tuple[str, str, str, Callable[[dict[str, Any]], str]], ...] = (
    ("Python", "send.py", "python3 send.py", _python),
    ("TypeScript", "send.ts", "npx tsx send.ts", _json),
    ("Ruby", "send.rb", "ruby send.rb", _json),
    ("Java", "Send.java", "java Send.java", _java),
    ("R", "send.R", "Rscript send.R", _r),
    ("Shell", "send.sh", "sh send.sh", _shell),
)
# Asks for it without showing it; bash and zsh read these options alike.
INTO_ENVIRONMENT = "printf 'Client secret: '; read -rs CARILLON_CLIENT_SECRET; export CARILLON_CLIENT_SECRET"


@lru_cache(maxsize=1)
def _templates() -> Environment:
    # These are programs and no HTML: the page that shows them escapes them.
    return Environment(loader=FileSystemLoader(_FOLDER), undefined=StrictUndefined, autoescape=False)  # noqa: S701


def programs(base: str, client: str, notification: dict[str, Any]) -> list[Program]:
    """Write the program of each language; neither the address nor the client's id has quotes."""
    return [
        Program(language, file, command, _text(file, base, client, written(notification)))
        for language, file, command, written in _LANGUAGES
    ]


def python(base: str, client: str, notification: dict[str, Any]) -> str:
    """Write the program in Python alone."""
    return _text("send.py", base, client, _python(notification))


def _text(file: str, base: str, client: str, notification: str) -> str:
    return _templates().get_template(f"{file}.jinja").render(base=base, client=client, notification=notification)
