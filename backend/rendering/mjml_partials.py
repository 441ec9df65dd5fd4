"""``mj-include`` of the partials of the starter library; no other file can be named."""

import re
from functools import cache

from backend.rendering.environments import LIBRARY
from backend.rendering.faults import TemplateFault

_INCLUDE = re.compile(r"""<mj-include\s+path=(?:"([^"]*)"|'([^']*)')\s*(?:/>|>\s*</mj-include\s*>)""")


def with_partials(source: str) -> str:
    """Put the partials in the place of their mj-include; raises TemplateFault for any other path.

    A partial is put in as one line, so that the author's lines keep their numbers.
    """
    return _INCLUDE.sub(_partial, source)


def _partial(match: re.Match[str]) -> str:
    name = match[1] or match[2] or ""
    text = partials().get(name)
    if text is None:
        line = match.string.count("\n", 0, match.start()) + 1
        known = ", ".join(partials())
        raise TemplateFault(f"mj-include takes the name of a partial in quotes ({known}); there is no '{name}'", line)
    return text + "\n" * match[0].count("\n")


@cache
def partials() -> dict[str, str]:
    """Return the partials by their names, each as one line."""
    paths = sorted((LIBRARY / "partials").glob("*.mjml"))
    return {path.name: " ".join(path.read_text(encoding="utf-8").split()) for path in paths}
