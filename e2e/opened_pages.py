"""How a page looks: at which sizes, with what it keeps people out, whether it fits; pictures of it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from playwright.sync_api import Page

WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 320, "height": 640}
_AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
# The rules of WCAG 2.2 A and AA, and what the checker's makers call good practice.
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# All that the colours of a scheme can change.
_RULES_OF_COLOURS = ["color-contrast", "link-in-text-block"]
# A message's frame is not the portal's text, and nothing is to be fetched for a look.
_RUN_AXE = """async ([where, type, values, rules = {}]) => {
  const options = {resultTypes: ["violations"], runOnly: {type, values}, rules, iframes: false, preload: false};
  const found = await axe.run(where, options);
  return found.violations.map(one => one.id + ": " + one.help + " in " + one.nodes.map(node =>
    node.target.join(" ") + " (" + node.any.map(check => check.message).join("; ") + ")").slice(0, 3).join(", "));
}"""
# How wide a page is and how much of that is in sight, with letters of a size.
_WIDTHS = """size => {
  const root = document.documentElement;
  root.style.fontSize = size;
  const widths = [root.scrollWidth, root.clientWidth];
  root.style.fontSize = "";
  return widths;
}"""
Scheme = Literal["light", "dark"]
_SCHEMES: tuple[Scheme, ...] = ("light", "dark")


def keep_axe(page: Page) -> None:
    """Have axe in all that the page shows from now on: where there is much to look at, quicker than bringing it."""
    page.add_init_script(path=_AXE)


def keeps_nobody_out(page: Page) -> None:
    """Let axe find nothing: by all rules in light; by those about colours in dark, but for the menu."""
    _bring_axe(page)
    in_scheme(page, "light")
    found = page.evaluate(_RUN_AXE, ["html", "tag", _RULES])
    in_scheme(page, "dark")
    found += [f"in dark: {one}" for one in page.evaluate(_RUN_AXE, ["main", "rule", _RULES_OF_COLOURS])]
    assert found == [], f"{page.url}: " + "\n".join(found)


def mail_keeps_nobody_out(page: Page) -> None:
    """Let axe find nothing in a mail by the rules of WCAG, in light and in dark; it has no landmarks of a site."""
    _bring_axe(page)
    for scheme in _SCHEMES:
        in_scheme(page, scheme)
        found = page.evaluate(_RUN_AXE, ["html", "tag", _RULES[:-1]])
        assert found == [], f"in {scheme}: " + "\n".join(found)


def is_well_built(page: Page) -> None:
    """Let axe find nothing by the rules that have nothing to do with colours."""
    _bring_axe(page)
    found = page.evaluate(_RUN_AXE, ["html", "tag", _RULES, {one: {"enabled": False} for one in _RULES_OF_COLOURS}])
    assert found == [], f"{page.url}: " + "\n".join(found)


def _bring_axe(page: Page) -> None:
    page.wait_for_load_state("load")  # what it looks like is known when its style sheets are there
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(_AXE.read_text(encoding="utf-8"))


def in_scheme(page: Page, scheme: Scheme) -> None:
    """Show a page as people who prefer the scheme see it; without motion, colours pass through no others."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")


def fits(page: Page, letters: str = "") -> None:
    """Nothing sticks out sideways, with letters of the usual size or of one such as ``200%``."""
    page.wait_for_load_state("load")  # a click on a link ends before the next page has an element
    width, shown = page.evaluate(_WIDTHS, letters)
    assert width <= shown, f"{page.url} is {width} px wide where there are {shown}."


def fits_everywhere(page: Page, name: str) -> None:
    """See that a page fits wide and at 320 px, and keep pictures of it, light and dark, if they are wanted.

    320 px are also what is left of 1,280 px at 400 % zoom.
    """
    before = page.viewport_size
    for size in (NARROW, WIDE):
        _resize(page, size)
        fits(page)
        for scheme in ("light", "dark") if _folder() else ():
            in_scheme(page, scheme)  # type: ignore[arg-type] # one of the two words
            picture(page, f"{name}-{size['width']}-{scheme}")
    _resize(page, before)


def _resize(page: Page, size: Mapping[str, int] | None) -> None:
    if size and size != page.viewport_size:
        page.set_viewport_size(size)  # type: ignore[arg-type] # width and height


def picture(page: Page, name: str) -> None:
    """Keep a screenshot where ``CARILLON_SCREENSHOTS`` says, for people to look at."""
    folder = _folder()
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def _folder() -> str | None:
    return os.environ.get("CARILLON_SCREENSHOTS")
