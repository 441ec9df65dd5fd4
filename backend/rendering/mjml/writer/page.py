"""The page around the components: its head, with the style sheets that the components ask for."""

import re
from collections.abc import Callable

from lxml import etree

from backend.rendering.mjml.writer.elements import Defaults
from backend.rendering.mjml.writer.numbers import written
from backend.rendering.model import LANGUAGE

_BREAKPOINT = "480px"
_HEAD = """<!--[if !mso]><!--><meta http-equiv="X-UA-Compatible" content="IE=edge"><!--<![endif]-->
<meta http-equiv="Content-Type" content="text/html; charset=UTF-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style type="text/css">
#outlook a { padding:0; }
body { margin:0;padding:0;-webkit-text-size-adjust:100%;-ms-text-size-adjust:100%; }
table, td { border-collapse:collapse;mso-table-lspace:0pt;mso-table-rspace:0pt; }
img { border:0;height:auto;line-height:100%; outline:none;text-decoration:none;-ms-interpolation-mode:bicubic; }
p { display:block;margin:13px 0; }
</style>
<!--[if mso]>
<noscript>
<xml>
<o:OfficeDocumentSettings>
<o:AllowPNG/>
<o:PixelsPerInch>96</o:PixelsPerInch>
</o:OfficeDocumentSettings>
</xml>
</noscript>
<![endif]-->
<!--[if lte mso 11]>
<style type="text/css">
.mj-outlook-group-fix { width:100% !important; }
</style>
<![endif]-->
"""


class Page:
    """One document that is being written; components leave here what the head needs."""

    def __init__(self, root: etree._Element) -> None:
        self.defaults = Defaults(root)
        self.head = [] if (head := root.find("mj-head")) is None else list(head)
        self.lang = root.get("lang") or LANGUAGE
        self.dir = root.get("dir") or "auto"
        self.owa = root.get("owa")
        self.title = self._last("mj-title")
        self.preview = self._last("mj-preview")
        self.breakpoint = next(
            (one.get("width") or "" for one in reversed(self.head) if one.tag == "mj-breakpoint"), _BREAKPOINT
        )
        self._rules: dict[str, str] = {}
        self._sheets: dict[str, str] = {}
        self._own_sheets: list[str] = []
        self._ids = 0

    def width_rule(self, name: str, width: float, unit: str) -> None:
        """Let a class have a width on screens that are wider than the breakpoint."""
        size = f"{written(width)}{unit}"
        self._rules[name] = f"{{ width:{size} !important; max-width: {size}; }}"

    def padding_rule(self, name: str, padding: str) -> None:
        """Let a class have a padding on screens that are wider than the breakpoint."""
        self._rules[name] = f"{{ padding: {padding} !important; }}"

    def sheet(self, component: str, css: Callable[[str], str]) -> None:
        """Give a component its style sheet, once; it is told the widest screen below the breakpoint."""
        if component not in self._sheets:
            found = re.search(r"\d+", self.breakpoint)
            self._sheets[component] = css(f"{int(found[0]) - 1}px" if found else self.breakpoint)

    def own_sheet(self, css: str) -> None:
        """Add a style sheet for one element."""
        self._own_sheets.append(css)

    def next_id(self) -> str:
        """Return what tells one element of the page from another."""
        self._ids += 1
        return f"{self._ids:016x}"

    def html(self, body: str) -> str:
        """Write the whole page."""
        sheets = [*self._own_sheets, *self._sheets.values()]
        styles = [one.text or "" for one in self.head if one.tag == "mj-style"]
        raws = [(one.text or "").strip() for one in self.head if one.tag == "mj-raw"]
        return "".join(
            (
                f'<!doctype html>\n<html lang="{self.lang}" dir="{self.dir}" xmlns="http://www.w3.org/1999/xhtml" ',
                'xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office">\n',
                f"<head>\n<title>{self.title}</title>\n{_HEAD}",
                self._fonts(body),
                self._media_queries(),
                _style(sheets),
                _style(styles),
                "\n".join(raws),
                f"\n</head>\n{body}\n</html>\n",
            )
        )

    def _last(self, tag: str) -> str:
        return next(((one.text or "").strip() for one in reversed(self.head) if one.tag == tag), "")

    def _fonts(self, body: str) -> str:
        """Ask for the fonts that are declared and used; the reference's own list would tell Google who reads."""
        declared = {one.get("name") or "": one.get("href") or "" for one in self.head if one.tag == "mj-font"}
        used = [
            href
            for name, href in declared.items()
            if re.search(rf'"[^"]*font-family:[^"]*{re.escape(name)}[^"]*"', body, re.IGNORECASE)
        ]
        if not used:
            return ""
        links = "\n".join(f'<link href="{href}" rel="stylesheet" type="text/css">' for href in used)
        imports = "\n".join(f"@import url({href});" for href in used)
        return f'<!--[if !mso]><!-->\n{links}\n<style type="text/css">\n{imports}\n</style>\n<!--<![endif]-->\n'

    def _media_queries(self) -> str:
        if not self._rules:
            return ""
        rules = _grouped(self._rules, "")
        thunderbird = _grouped(self._rules, ".moz-text-html ")
        desktop = "\n".join(f"[owa] {rule}" for rule in rules)
        return "".join(
            (
                f'<style type="text/css">\n@media only screen and (min-width:{self.breakpoint}) {{\n',
                "\n".join(rules),
                f'\n}}\n</style>\n<style media="screen and (min-width:{self.breakpoint})">\n',
                "\n".join(thunderbird),
                "\n</style>\n",
                f'<style type="text/css">\n{desktop}\n</style>\n' if self.owa == "desktop" else "",
            )
        )


def _grouped(rules: dict[str, str], prefix: str) -> list[str]:
    names: dict[str, list[str]] = {}
    for name, rule in rules.items():
        names.setdefault(rule, []).append(f"{prefix}.{name}")
    return [f"{', '.join(together)} {rule}" for rule, together in names.items()]


def _style(sheets: list[str]) -> str:
    return '<style type="text/css">\n' + "\n".join(sheets) + "\n</style>\n" if sheets else ""
