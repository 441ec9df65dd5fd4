"""What an author may have meant by a name that is not there."""

import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches

_MOST_NAMES = 500
_LONGEST_NAME = 100


def near(name: str, names: Iterable[str], cutoff: float = 0.7) -> str:
    """Ask whether one of ``names`` is meant that is written nearly alike; empty where none is."""
    known = [one for one in names if not one.startswith("#")][:_MOST_NAMES]
    close = get_close_matches(name[:_LONGEST_NAME], known, n=1, cutoff=cutoff)
    return f"; did you mean '{close[0]}'?" if close else ""


def one_word(name: str, names: Collection[str]) -> str | None:
    """Return the member that is meant where Jinja does not take its name as one word, such as ``sample-id``."""
    for one in list(names)[:_MOST_NAMES]:
        if one == name or '"' in one or len(one) > _LONGEST_NAME:
            continue
        if one.startswith(f"{name}-") or one.endswith(f"-{name}") or re.sub(r"\W", "_", one) == name:
            return one
    return None


def variable(name: str, variables: Mapping[str, object]) -> str:
    """Say what to write for a variable that a message has not, whose own ``variables`` are given."""
    fields = variables.get("fields")
    if isinstance(fields, list):
        known = any(isinstance(one, dict) and name in one for one in fields)
        loop = f"{{% for item in fields %}}{{{{ item.{name} }}}}{{% endfor %}}"
        return f"; a batch has the list 'fields' alone, so write {loop}" if known else near(name, variables)
    members = list(fields) if isinstance(fields, dict) else []
    meant = one_word(name, members)
    return f'; write fields["{meant}"]' if meant else near(name, [*members, *variables])
