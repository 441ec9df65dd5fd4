"""Browsers as their people know them: "Firefox on Linux"."""

# The first that is found counts, for browsers name those that they descend from too.
_PROGRAMS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari"))
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def name(agent: str) -> str:
    """Name the browser of a ``User-Agent`` header; one that says nothing of itself is "A browser"."""
    program = next((told for mark, told in _PROGRAMS if mark in agent), "A browser")
    system = next((told for mark, told in _SYSTEMS if mark in agent), None)
    return f"{program} on {system}" if system else program
