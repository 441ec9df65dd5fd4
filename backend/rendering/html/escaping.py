"""Where a field's value could get out of its place: escaping guards text and quoted attributes, and nothing else.

https://owasp.org/www-project-cheat-sheets/cheatsheets/Cross_Site_Scripting_Prevention_Cheat_Sheet
"""

import re
from collections.abc import Iterator

from backend.rendering.model import TemplateWarning

_EXPRESSION = r"\{\{(?:[^{}]|\}(?!\}))*\}\}"
_TAG = re.compile(rf"<[a-zA-Z][\w:-]*(?:\s+(?:[^<>\"'{{}}]|\"[^\"]*\"|'[^']*'|{_EXPRESSION}|\{{%[^%]*%\}})*)?")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_UNQUOTED = re.compile(r"=\s*(?=\{\{)")
_SCRIPT = re.compile(r"<script\b", re.IGNORECASE)
_PLAIN = "This value is not in quotes, so that a space in it would begin another attribute: write quotes around it."
_CODE = "Escaping does not reach into scripts: what a field says would be obeyed there. Keep fields out of them."


def unescaped(source: str) -> Iterator[TemplateWarning]:
    """Warn of expressions in unquoted attributes and in scripts."""
    for tag in _TAG.finditer(source):
        # Quoted values are blanked, so that what they hold is not taken for an attribute.
        bare = _QUOTED.sub(lambda quoted: " " * len(quoted[0]), tag[0])
        for found in _UNQUOTED.finditer(bare):
            yield _warning(source, tag.start() + found.end(), _PLAIN)
    yield from _in_scripts(source)


def _in_scripts(source: str) -> Iterator[TemplateWarning]:
    lowered, position = source.lower(), 0
    while script := _SCRIPT.search(source, position):
        end = lowered.find("</script", script.end())
        position = end if end >= 0 else len(source)
        for found in re.finditer(r"\{\{", source[script.end() : position]):
            yield _warning(source, script.end() + found.start(), _CODE)


def _warning(source: str, position: int, detail: str) -> TemplateWarning:
    return TemplateWarning(source.count("\n", 0, position) + 1, "unescaped_output", detail)
