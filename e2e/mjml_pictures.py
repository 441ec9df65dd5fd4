"""Pictures of messages in Chromium, and how much two of them differ."""

import base64
import io
import re
from functools import cache

from PIL import Image, ImageChops, ImageDraw
from playwright.sync_api import Browser, Page, Route

_IMAGE = re.compile(r"https://images\.example/(\d+)x(\d+)-(\w+)\.png")
# The icons of the reference compiler.
_ICON = re.compile(r"https://(?:i\.imgur\.com|www\.mailjet\.com)/[\w./-]+\.png")


class Camera:
    """One page that is used again and again; it reaches no network, pictures come from here."""

    def __init__(self, browser: Browser) -> None:
        self._page: Page = browser.new_page(java_script_enabled=False)
        self._page.route("**/*", _refuse)

    def picture(self, html: str, width: int) -> Image.Image:
        """Take a picture of a whole message in a window of this width in pixels."""
        self._page.set_viewport_size({"width": width, "height": 400})
        self._page.set_content(
            _IMAGE.sub(_within, _ICON.sub("https://images.example/32x32-gray.png", html)), wait_until="load"
        )
        return Image.open(io.BytesIO(self._page.screenshot(full_page=True))).convert("RGB")

    def close(self) -> None:
        """Close the page."""
        self._page.close()


def difference(left: Image.Image, right: Image.Image) -> float:
    """Return the share of pixels that differ, counting what only the larger picture has."""
    width, height = max(left.width, right.width), max(left.height, right.height)
    canvases = [Image.new("RGB", (width, height), colour) for colour in ("black", "white")]
    for canvas, picture in zip(canvases, (left, right), strict=True):
        canvas.paste(picture, (0, 0))
    channels = ImageChops.difference(*canvases).split()
    most = ImageChops.lighter(ImageChops.lighter(channels[0], channels[1]), channels[2])
    return 1 - most.histogram()[0] / (width * height)


def _within(match: re.Match[str]) -> str:
    return _drawn(int(match[1]), int(match[2]), match[3])


@cache
def _drawn(width: int, height: int, colour: str) -> str:
    """Draw a picture that shows where its corners and its middle are."""
    picture = Image.new("RGB", (width, height), colour)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, width - 1, height - 1), outline="black", width=3)
    draw.line((0, 0, width, height), fill="white", width=2)
    written = io.BytesIO()
    picture.save(written, "PNG")
    return f"data:image/png;base64,{base64.b64encode(written.getvalue()).decode()}"


def _refuse(route: Route) -> None:
    route.abort()
