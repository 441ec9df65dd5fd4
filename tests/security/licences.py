"""The licences of what is installed, as the packages themselves declare them: ``python -m tests.security.licences``."""

import re
from importlib.metadata import Distribution, distributions
from pathlib import Path

LOCK = Path(__file__).parents[2] / "requirements.lock"
# What may not go into a program that others run as a service and change without telling.
FORBIDDEN = re.compile(
    r"\bA?GPL|Affero|Server Side Public|SSPL|Business Source|Commons Clause|non-?commercial", re.IGNORECASE
)
LESSER = re.compile(r"L(?:esser )?GPL|Lesser General Public|Library General Public", re.IGNORECASE)


def locked() -> set[str]:
    """Return the names of the packages that an installation brings."""
    return {_plain(name) for name in re.findall(r"^([A-Za-z0-9][\w.-]*)==", LOCK.read_text(), re.MULTILINE)}


def declared(package: Distribution) -> str:
    """Return what a package says of its licence: its expression, else its classifiers, else the first line of text."""
    classifiers = package.metadata.get_all("Classifier") or []
    classified = [value.rpartition(" :: ")[2] for value in classifiers if value.startswith("License ::")]
    written = str(package.metadata.get("License") or "") or _text(package)
    first = next((line.strip() for line in written.splitlines() if line.strip()), "")
    return str(package.metadata.get("License-Expression") or "; ".join(classified) or first)


def _text(package: Distribution) -> str:
    for file in package.files or []:
        if file.name.upper().startswith(("LICENSE", "LICENCE", "COPYING")):
            return Path(str(package.locate_file(file))).read_text(errors="replace")
    return ""


def installed() -> dict[str, str]:
    """Return the licence of each package that is in the lock and here."""
    wanted = locked()
    named = {_plain(package.name): declared(package) for package in distributions()}
    return {name: licence for name, licence in sorted(named.items()) if name in wanted}


def forbidden(licence: str) -> bool:
    """Tell whether a licence asks for more than may be promised; a choice among several is as good as its best."""
    choices = re.split(r"\bOR\b", licence)
    return all(FORBIDDEN.search(LESSER.sub("", choice)) for choice in choices)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    for name, licence in installed().items():
        print(f"{name:<40} {licence}")
