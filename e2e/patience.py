"""A browser is waited for, in one place: how long, and that nothing is asked of a page that has only half arrived.

A click on a link ends when the next page begins to come. Then its document may have no element yet, and no script that
hears a key or sees what is typed. So whatever asks a page for something, or does something to it, waits first until
its scripts have run (they are deferred, and all there when the content is loaded), and for a key or a script of the
test until its style sheets are there too, and with them what they show and what has the focus.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import pytest
from playwright.sync_api import Keyboard, Locator, Page, expect

from tests import patience

SECONDS = patience.patient(10)
_ACTS = (
    "blur", "check", "clear", "click", "dblclick", "dispatch_event", "fill", "focus", "hover", "press",
    "press_sequentially", "select_option", "set_checked", "set_input_files", "tap", "type", "uncheck",
)  # fmt: skip
_ANSWERS = (
    "all", "all_inner_texts", "all_text_contents", "bounding_box", "count", "evaluate", "evaluate_all",
    "get_attribute", "inner_html", "inner_text", "input_value", "is_checked", "is_disabled", "is_editable",
    "is_enabled", "is_hidden", "is_visible", "screenshot", "text_content",
)  # fmt: skip
_OF_PAGES = ("content", "evaluate", "evaluate_handle", "screenshot", "title")
_OF_KEYS = ("down", "insert_text", "press", "type")
State = Literal["domcontentloaded", "load"]


@contextmanager
def patient() -> Iterator[None]:
    """Have every page of the block waited for."""
    expect.set_options(timeout=SECONDS * 1000)
    with pytest.MonkeyPatch.context() as patched:
        for kind, names, state in (
            (Locator, _ACTS, "domcontentloaded"),
            (Locator, _ANSWERS, "load"),
            (Page, _OF_PAGES, "load"),
        ):
            for name in names:
                patched.setattr(kind, name, _after(state, getattr(kind, name)))  # type: ignore[arg-type] # one of two
        patched.setattr(Page, "keyboard", property(_Keys))
        yield
    expect.set_options(timeout=None)


def _after(state: State, asked: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(asked)
    def wait_and_ask(of: Page | Locator, *values: Any, **options: Any) -> Any:
        page = of if isinstance(of, Page) else of.page
        page.wait_for_load_state(state)
        return asked(of, *values, **options)

    return wait_and_ask


_keyboard = Page.keyboard


class _Keys:
    """The keyboard of a page, whose keys are heard."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._keyboard: Keyboard = _keyboard.fget(page)  # type: ignore[attr-defined] # a property

    def __getattr__(self, name: str) -> Any:
        asked = getattr(self._keyboard, name)
        return functools.partial(_after_page, self._page, asked) if name in _OF_KEYS else asked


def _after_page(page: Page, asked: Callable[..., Any], *values: Any, **options: Any) -> Any:
    page.wait_for_load_state("load")
    return asked(*values, **options)
