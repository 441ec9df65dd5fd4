"""Where MRML differs from the reference compiler: each correction by itself, to be dropped when MRML mends it.

Some are made to the source before it is compiled (``BEFORE``), some to the HTML (``AFTER``); what must be found again
in the HTML carries a class of ours until then. Differences of parsing are met in ``mjml_source``.
"""

import re
from collections.abc import Callable

from lxml import etree

Element = etree._Element  # noqa: SLF001 - the public name of the type
Correction = Callable[[str], str]
_PIXELS = re.compile(r"(\d+(?:\.\d+)?)px|0")
_PLAIN_VALUE = re.compile(r"[\w\s.%#(),-]+")
_BORDER = re.compile(r"(?<![\w.])(\d+)px")


class Marked:
    """Elements whose HTML is to be corrected; the mark is made of letters and digits that no source contains."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._corrections: list[tuple[Correction, Correction | None]] = []
        self._rules: dict[tuple[str, str], str] = {}

    def add(self, element: Element, correction: Correction, outlook: Correction | None = None) -> None:
        """Give the element a class of its own; the correction gets the HTML from the tag that bears it to the end.

        ``outlook`` gets the tag of the cell that the element has in Outlook alone.
        """
        name = f"{self._mark}{len(self._corrections)}k"
        element.set("css-class", f"{element.get('css-class', '')} {name}".strip())
        self._corrections.append((correction, outlook))

    def rule(self, declarations: str, above: str) -> str:
        """Return a class with these declarations for screens that are wider than the breakpoint."""
        return self._rules.setdefault((declarations, above), f"mj-corrected-{len(self._rules) + 1}")

    def correct(self, html: str) -> str:
        """Make the corrections and remove the classes."""
        for number, (correction, outlook) in enumerate(self._corrections):
            if found := re.search(rf'{self._mark}{number}k(?=[" ])', html):
                start = html.rindex("<", 0, found.start())
                html = html[:start] + correction(html[start:])
            if outlook is not None:
                cell = re.compile(rf"<td [^>]*{self._mark}{number}k-outlook[^>]*>")
                html = cell.sub(lambda tag, outlook=outlook: outlook(tag[0]), html, count=1)  # type: ignore[misc] # as below
        if not self._corrections:
            return html
        html = html.replace("</head>", f"{self._style()}</head>", 1)
        name = rf"{self._mark}\d+k(?:-outlook)?"
        return re.sub(rf" {name}", "", re.sub(rf' class="{name}(?: {name})*"', "", html))

    def _style(self) -> str:
        return "".join(
            f'<style type="text/css">@media only screen and (min-width:{edge}) {{ .{name} {{ {rule} }} }}</style>'
            f'<style media="screen and (min-width:{edge})">.moz-text-html .{name} {{ {rule} }}</style>'
            for (rule, edge), name in self._rules.items()
        )


def given(element: Element, name: str) -> str | None:
    """Return an attribute as MJML resolves it: of the element, its classes, its component, of all."""
    if (value := element.get(name)) is not None:
        return value
    defaults = element.getroottree().find("mj-head/mj-attributes")
    if defaults is None:
        return None
    classes = [f"mj-class[@name='{one}']" for one in element.get("mj-class", "").split() if one.isidentifier()]
    for path in (*reversed(classes), str(element.tag), "mj-all"):
        for default in reversed(defaults.findall(path)):
            if (value := default.get(name)) is not None:
                return value
    return None


def side(element: Element, kind: str, edge: str) -> int:
    """Return the padding or border of one side in pixels; 0 where it is not known."""
    value = given(element, f"{kind}-{edge}")
    if value is None:
        parts = (given(element, kind) or "").split()
        if kind != "padding":
            value = " ".join(parts)
        elif parts:
            order = {"top": 0, "right": 1, "bottom": 2, "left": 3}
            place = order[edge]
            value = parts[place] if place < len(parts) else parts[place - 2] if place - 2 < len(parts) else parts[0]
    found = (_BORDER.search if kind != "padding" else _PIXELS.fullmatch)(value or "")
    return int(float(found[1])) if found and found[1] else 0


def _classes_for_children(root: Element, _marked: Marked) -> None:
    """MRML does not know that a class may hold defaults for what stands inside the elements of the class."""
    for default in list(root.iterfind("mj-head/mj-attributes/mj-class/*")):
        holder = default.getparent()
        assert holder is not None  # noqa: S101 - it was found inside of one
        for element in root.iterfind(f"mj-body//{default.tag}"):
            classed = next((outer for outer in element.iterancestors() if outer.get("mj-class")), None)
            if classed is not None and holder.get("name") in classed.get("mj-class", "").split():
                for name, value in default.attrib.items():
                    element.set(name, element.get(name, value))
        holder.remove(default)


def _accordion_icons(root: Element, _marked: Marked) -> None:
    """MRML passes over what mj-attributes says of the icons of mj-accordion-element."""
    for element in root.iterfind("mj-body//mj-accordion-element"):
        for name in ("icon-width", "icon-height", "icon-wrapped-url", "icon-unwrapped-url", "icon-position"):
            value = given(element, name)
            if value is not None:
                element.set(name, value)


def _social_alternatives(root: Element, _marked: Marked) -> None:
    """MRML writes no alt where the reference writes an empty one."""
    for element in root.iterfind("mj-body//mj-social-element"):
        if given(element, "alt") is None:
            element.set("alt", "")


def _social_icons_right(root: Element, marked: Marked) -> None:
    """MRML passes over icon-position."""
    cells = re.compile(
        r"(<tr[^>]*>)(<td(?:(?!<table).)*<table.*?</table></td>)(<td(?:(?!</?t[dr]\b).)*</td>)(</tr>)", re.DOTALL
    )
    for element in root.iterfind("mj-body//mj-social-element"):
        if given(element, "icon-position") == "right":
            marked.add(element, lambda html: cells.sub(r"\1\3\2\4", html, count=1))


def _gaps(root: Element, marked: Marked) -> None:
    """MRML passes over the gap of a wrapper."""
    for wrapper in root.iterfind("mj-body//mj-wrapper"):
        gap = given(wrapper, "gap")
        if gap is None or not _PIXELS.fullmatch(gap):
            continue
        for section in list(wrapper.iterchildren("mj-section"))[1:]:
            margin = f"margin:0px auto;margin-top:{gap};"
            marked.add(section, lambda html, margin=margin: html.replace("margin:0px auto;", margin, 1))  # type: ignore[misc] # mypy cannot infer it with a default


def _button_borders(root: Element, marked: Marked) -> None:
    """MRML does not take the borders off the width of a button."""
    width = re.compile(r"(<(?:a|p)\b[^>]*[;\"]width:)(\d+)px")
    for button in root.iterfind("mj-body//mj-button"):
        borders = side(button, "border", "left") + side(button, "border", "right")
        if borders and _PIXELS.fullmatch(given(button, "width") or ""):

            def narrower(html: str, borders: int = borders) -> str:
                return width.sub(lambda match: f"{match[1]}{int(match[2]) - borders}px", html, count=1)

            marked.add(button, narrower)


def _image_borders(root: Element, marked: Marked) -> None:
    """MRML passes over the borders of single sides of an image."""
    for image in root.iterfind("mj-body//mj-image"):
        sides = {f"border-{side}": given(image, f"border-{side}") for side in ("bottom", "left", "right", "top")}
        style = "".join(f"{name}:{value};" for name, value in sides.items() if value and _PLAIN_VALUE.fullmatch(value))
        if style:
            marked.add(image, _styled(r'(<img [^>]*style="border:[^;"]*;)', style))


def _heroes(root: Element, marked: Marked) -> None:
    """MRML does not take the padding off a hero's height, and passes over its inner padding, radius and fluid mode."""
    for hero in root.iterfind("mj-body//mj-hero"):
        padding = side(hero, "padding", "top") + side(hero, "padding", "bottom")
        fixed = _PIXELS.fullmatch(given(hero, "height") or "")
        if given(hero, "mode") == "fluid-height":
            marked.add(hero, _fluid(_ratio(hero)))
        elif fixed and padding:
            hero.set("height", f"{int(float(fixed[1] or 0)) - padding}px")
        for value, pattern, style in (
            (given(hero, "inner-padding"), r'(<div class="mj-hero-content" style=")', "padding"),
            (given(hero, "border-radius"), r'(<tr style="vertical-align:top;"><td [^>]*?style=")', "border-radius"),
        ):
            if value is not None and _PLAIN_VALUE.fullmatch(value):
                marked.add(hero, _styled(pattern, f"{style}:{value};"))


def _ratio(hero: Element) -> int:
    height, width = (_PIXELS.fullmatch(given(hero, f"background-{side}") or "") for side in ("height", "width"))
    return round(float(height[1]) / float(width[1]) * 100) if height and width and height[1] and width[1] else 0


def _fluid(ratio: int) -> Correction:
    def correction(html: str) -> str:
        beside = f'<td style="width:0.01%;padding-bottom:{ratio}%;mso-padding-bottom-alt:0;"></td>'
        row = '<tr style="vertical-align:top;">'
        before, row, after = html.partition(row)
        tag, end, rest = after.partition(">")
        tag = re.sub(r' height="-?\d+"', "", re.sub(r"height:-?\d+px;", "", tag))
        return f"{before}{row}{beside}{tag}{end}{rest}"

    return correction


def _styled(pattern: str, style: str) -> Correction:
    return lambda html: re.sub(pattern, lambda match: match[1] + style, html, count=1)


def _carousel_media(html: str) -> str:
    """MRML mends a media query that the reference leaves invalid, which shows carousels otherwise everywhere."""
    return html.replace("@media screen, yahoo", "@media screen yahoo")


def _group_widths(html: str) -> str:
    """Inside of groups the reference rounds the widths that it works out down to whole percents."""
    return re.sub(r"(vertical-align:\w+;width:\d+)\.\d{4,}%", r"\1%", html)


BEFORE: tuple[Callable[[Element, Marked], None], ...] = (
    _classes_for_children,
    _accordion_icons,
    _social_alternatives,
    _social_icons_right,
    _gaps,
    _button_borders,
    _image_borders,
    _heroes,
)
AFTER: tuple[Correction, ...] = (_carousel_media, _group_widths)
