"""Compares random MJML as Carillon compiles it with the reference compiler: ``python -m e2e.mjml_fuzz``.

What both compilers write alike needs no picture; of the rest pictures are compared, in two widths, as most mail
programs show the message and as Outlook does.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import sync_playwright

from backend.rendering.compiler import parse
from backend.rendering.faults import TemplateFault
from backend.rendering.mjml.compiler import compile_mjml
from backend.rendering.model import Source
from e2e.mjml_documents import KINDS, Document, documents
from e2e.mjml_ordinary import ordinary
from e2e.mjml_pictures import Camera, difference
from e2e.mjml_reference import compile_all
from e2e.mjml_views import canonical, outlook
from tests.browser import chromium_path

WIDTHS = (700, 360)
MOST_DIFFERENT = 0.005
_VIEWS: dict[str, Callable[[str], str]] = {"browsers": str, "outlook": outlook}
_AT_ONCE = 500
_FOUND = Path(__file__).parents[1] / ".cache" / "mjml-fuzz"


@dataclass(frozen=True)
class Compared:
    """How much of a document's pictures differs, by the view; ``refused`` is what our compiler says instead."""

    document: Document
    written_alike: bool
    shares: dict[str, float]
    refused: str = ""

    @property
    def differs(self) -> bool:
        """Say whether a reader would see a difference."""
        return bool(self.refused) or max(self.shares.values()) > MOST_DIFFERENT


def compiled(source: str) -> str:
    """Compile MJML without Jinja as a template is; raises TemplateFault."""
    parse(Source("mjml", source))
    return compile_mjml(source).html


def compared(many: Sequence[Document], camera: Camera, ours_of: Callable[[str], str] = compiled) -> Iterator[Compared]:
    """Compare each document in every view."""
    theirs = compile_all({str(one.number): one.source for one in many})
    for one in many:
        try:
            ours = ours_of(one.source)
        except TemplateFault as fault:
            yield Compared(one, False, {}, str(fault))
            continue
        views = {name: (view(ours), view(theirs[str(one.number)])) for name, view in _VIEWS.items()}
        alike = {name: canonical(mine) == canonical(reference) for name, (mine, reference) in views.items()}
        shares = {name: 0.0 if alike[name] else _difference(*pair, camera) for name, pair in views.items()}
        yield Compared(one, all(alike.values()), shares)


def table(results: Sequence[Compared]) -> str:
    """Say for each kind how many documents differ in which view."""
    lines = [f"{'kind':12} {'documents':>9} {'alike':>7} {'refused':>7} " + " ".join(f"{name:>9}" for name in _VIEWS)]
    for kind in (*KINDS, "all"):
        of_kind = [one for one in results if kind in {one.document.kind, "all"}]
        seen = [sum(one.shares.get(name, 0) > MOST_DIFFERENT for one in of_kind) for name in _VIEWS]
        alike, refused = (sum(one.written_alike for one in of_kind), sum(bool(one.refused) for one in of_kind))
        lines.append(f"{kind:12} {len(of_kind):9} {alike:7} {refused:7} " + " ".join(f"{count:9}" for count in seen))
    return "\n".join(lines)


def _difference(ours: str, theirs: str, camera: Camera) -> float:
    return max(difference(camera.picture(ours, width), camera.picture(theirs, width)) for width in WIDTHS)


def _keep(one: Compared) -> None:
    _FOUND.mkdir(parents=True, exist_ok=True)
    (_FOUND / f"{one.document.number}.mjml").write_text(one.document.source, encoding="utf-8")


def main() -> int:
    """Compare as many documents as asked for; return 1 if one of them looks different."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--count", type=int, default=400)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--first", type=int, default=0, help="the number of the first document")
    asked.add_argument("--ordinary", action="store_true", help="documents as people write them, which MRML compiles")
    options = asked.parse_args()
    write = ordinary if options.ordinary else documents
    results: list[Compared] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        camera = Camera(browser)
        for first in range(options.first, options.first + options.count, _AT_ONCE):
            last = min(first + _AT_ONCE, options.first + options.count)
            for one in compared(list(write(last - first, options.seed, first)), camera):
                results.append(one)
                if one.differs:
                    _keep(one)
                    worst = max(one.shares.items(), key=lambda share: share[1], default=("refused", 0.0))
                    print(f"{one.document.number} {one.document.kind}: {one.refused or f'{worst[0]} {worst[1]:.2%}'}")
        browser.close()
    print(table(results))
    return any(one.differs for one in results)


if __name__ == "__main__":
    sys.exit(main())
