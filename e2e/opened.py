"""What opens on a page (details, menus, dialogs), opened in turn at three widths: whole, in its place, as it was kept.

The kept pictures are of boxes, not of pixels: where on its width each visible part of an opened thing stands and how
wide it is, in hundredths. Other fonts move letters and lines, and so do not matter; a panel that falls apart, a column
that is lost or a field that shrinks to nothing does. With ``CARILLON_KEEP_PICTURES=yes`` they are kept anew.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

_KEPT = Path(__file__).parent / "pictures" / "opened.json"
SIZES = ({"width": 390, "height": 844}, {"width": 1024, "height": 768}, {"width": 1440, "height": 900})
# How far a box may be from where it was, and how many may be elsewhere: text of another font is wider or wraps.
_FAR, _ELSEWHERE = 12, 0.25
_SCRIPT = Path(__file__).with_name("opened.js").read_text(encoding="utf-8")

Pictures = dict[str, list[list[Any]]]


def keep_script(page: Page) -> None:
    """Have what opens and measures in all that the page shows from now on."""
    page.add_init_script(script=_SCRIPT)


def look(page: Page, name: str, seen: Pictures) -> None:
    """Open everything on a page, one after the other, at each width; add the pictures to ``seen``."""
    faults: list[str] = []
    before = page.viewport_size
    for size in SIZES:
        page.set_viewport_size(size)  # type: ignore[arg-type] # width and height
        for thing in page.evaluate("() => lookAtAllThatOpens()"):
            key = f"{size['width']} {re.sub(r'[0-9a-f-]{8,}|[0-9]+', '*', thing['key'])}"
            faults += [f"{name}, {size['width']} px, {thing['key']}: {one}" for one in thing["faults"]]
            seen.setdefault(key, thing["boxes"])
    if before:
        page.set_viewport_size(before)
    assert not faults, "\n".join(faults)


def compare(seen: Pictures) -> None:
    """Compare the pictures with the kept ones: all that were taken have to be there, and much alike."""
    kept: Pictures = json.loads(_KEPT.read_text(encoding="utf-8")) if _KEPT.exists() else {}
    if os.environ.get("CARILLON_KEEP_PICTURES"):
        every = sorted((kept | seen).items())
        lines = [f"{json.dumps(key)}: {json.dumps(boxes, separators=(',', ':'))}" for key, boxes in every]
        _KEPT.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
        return
    wrong = [key for key in seen if key not in kept]
    differing = [(key, boxes) for key, boxes in seen.items() if _differs(kept, key, boxes)]
    wrong += [f"{key}: {kept[key]} was kept, {boxes} is there" for key, boxes in differing]
    assert not wrong, "\n".join(["Not as it was kept (CARILLON_KEEP_PICTURES=yes keeps anew):", *wrong])


def _differs(kept: Pictures, key: str, boxes: list[list[Any]]) -> bool:
    old = kept.get(key)
    if old is None:
        return False
    rest = [list(box) for box in boxes]
    lost = 0
    for what, left, width in old:
        same = (one for one in rest if one[0] == what and abs(one[1] - left) <= _FAR and abs(one[2] - width) <= _FAR)
        found = next(same, None)
        if found is None:
            lost += 1
        else:
            rest.remove(found)
    return lost > _ELSEWHERE * len(old) or len(rest) > _ELSEWHERE * len(boxes)
