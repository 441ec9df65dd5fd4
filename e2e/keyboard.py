"""Going about a page with the keys alone."""

from typing import Any

from playwright.sync_api import Page

_MOST_STOPS = 80
# What has the focus: how it is called, whether it is in sight, and whether it shows that it has the focus. The frame
# may be drawn by a layer over the whole row, or by the frame of the editor.
_FOCUSED = r"""() => {
  const e = document.activeElement;
  const box = e.getBoundingClientRect();
  const frame = (one, layer) => getComputedStyle(one, layer).outlineStyle !== "none";
  const label = e === document.body ? ""
    : e.getAttribute("aria-label") || (e.labels && e.labels[0] && e.labels[0].innerText) || e.innerText || "";
  return {
    name: label.trim().replace(/\s+/g, " "),
    seen: frame(e) || frame(e, "::after") || Boolean(e.closest(".code-editor") && frame(e.closest(".code-editor"))),
    inside: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
  };
}"""


def press(page: Page, *keys: str) -> None:
    """Press keys one after the other."""
    for key in keys:
        page.keyboard.press(key)


def focused(page: Page) -> dict[str, Any]:
    """Describe what has the focus: ``name``, ``seen``, ``inside``."""
    found: dict[str, Any] = page.evaluate(_FOCUSED)
    return found


def go_to(page: Page, words: str, key: str = "Tab") -> None:
    """Press Tab until what has the focus is called ``words``, or begins with these words.

    It must be in sight and show that it has the focus.
    """
    passed = []
    for _ in range(_MOST_STOPS):
        page.keyboard.press(key)
        found = focused(page)
        if f"{found['name']} ".startswith(f"{words} "):
            assert found["seen"], f"Nobody sees that {words!r} has the focus."
            assert found["inside"], f"{words!r} has the focus outside of what is seen."
            return
        passed.append(found["name"][:30])
    raise AssertionError(f"The keyboard does not reach {words!r}; it passed {passed}.")


def follow(page: Page, words: str, key: str = "Tab") -> None:
    """Go to a link or button and press it, and wait for the page that it leads to."""
    go_to(page, words, key)
    with page.expect_event("domcontentloaded"):
        page.keyboard.press("Enter")


def leave_editor(page: Page) -> None:
    """Leave the text of the code editor: the first Escape closes what is proposed, should anything be."""
    for _ in range(2):
        page.keyboard.press("Escape")
        if focused(page)["name"].startswith("Editor content, press"):
            return
    raise AssertionError("Escape does not leave the text of the editor.")
