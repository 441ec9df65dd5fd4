"""Links to social networks, and navigation bars."""

from backend.rendering.mjml.writer.context import PRESENTATION, Context
from backend.rendering.mjml.writer.elements import Element, attributes, declarations, outlook, suffixed
from backend.rendering.mjml.writer.numbers import integer

_ICONS = "https://www.mailjet.com/images/theme/v1/icons/ico-social/"
# The colour of each network, its picture, and where its share button leads; the link stands for [[URL]].
_NETWORKS: dict[str, tuple[str, str, str]] = {
    "facebook": ("#3b5998", "facebook", "https://www.facebook.com/sharer/sharer.php?u=[[URL]]"),
    "twitter": ("#55acee", "twitter", "https://twitter.com/intent/tweet?url=[[URL]]"),
    "x": ("#000000", "twitter-x", "https://twitter.com/intent/tweet?url=[[URL]]"),
    "google": ("#dc4e41", "google-plus", "https://plus.google.com/share?url=[[URL]]"),
    "pinterest": (
        "#bd081c",
        "pinterest",
        "https://pinterest.com/pin/create/button/?url=[[URL]]&amp;media=&amp;description=",
    ),
    "linkedin": (
        "#0077b5",
        "linkedin",
        "https://www.linkedin.com/shareArticle?mini=true&amp;url=[[URL]]&amp;title=&amp;summary=&amp;source=",
    ),
    "instagram": ("#3f729b", "instagram", ""),
    "web": ("#4BADE9", "web", ""),
    "snapchat": ("#FFFA54", "snapchat", ""),
    "youtube": ("#EB3323", "youtube", ""),
    "tumblr": ("#344356", "tumblr", "https://www.tumblr.com/widgets/share/tool?canonicalUrl=[[URL]]"),
    "github": ("#000000", "github", ""),
    "xing": ("#296366", "xing", "https://www.xing.com/app/user?op=share&amp;url=[[URL]]"),
    "vimeo": ("#53B4E7", "vimeo", ""),
    "medium": ("#000000", "medium", ""),
    "soundcloud": ("#EF7F31", "soundcloud", ""),
    "dribbble": ("#D95988", "dribbble", ""),
}
_HANDED_DOWN = (
    "border", "border-radius", "color", "font-family", "font-size", "font-weight", "font-style", "icon-size",
    "icon-height", "icon-padding", "text-padding", "line-height", "text-decoration",
)  # fmt: skip
_CELL = declarations("padding padding-top padding-right padding-bottom padding-left vertical-align")
_TABLE = declarations("background* border-radius width<icon-size")
_ICON = declarations("padding<icon-padding font-size=0 height* vertical-align=middle width<icon-size")
_IMG = declarations("border border-radius display=block")
_TEXT_CELL = declarations("vertical-align=middle padding<text-padding text-align<align")
_TEXT = declarations("color font-size font-weight font-style font-family line-height text-decoration")
_LABEL = declarations(
    "display=block cursor=pointer mso-hide=all -moz-user-select=none user-select=none color<ico-color "
    "font-size<ico-font-size font-family<ico-font-family text-transform<ico-text-transform "
    "text-decoration<ico-text-decoration line-height<ico-line-height padding<ico-padding padding-top<ico-padding-top "
    "padding-right<ico-padding-right padding-bottom<ico-padding-bottom padding-left<ico-padding-left"
)
_SPACES = "padding padding-top padding-left padding-right padding-bottom"
_LINK = declarations(
    "display=inline-block color font-family font-size font-style font-weight letter-spacing line-height "
    f"text-decoration text-transform {_SPACES}"
)
_LINK_CELL = declarations(_SPACES)


def social(element: Element, _context: Context) -> str:
    """Write ``mj-social``, its links beside each other or one above the other."""
    given = element.some(_HANDED_DOWN)
    if element.true("inner-padding"):
        given["padding"] = element.attributes["inner-padding"]
    links = element.children(given)
    align = attributes(align=element.get("align"))
    if element.get("mode") != "horizontal":
        rows = "".join(link.content if link.is_raw else _social_element(link) for link in links)
        return f'<table{PRESENTATION} style="margin:0px;"><tbody>{rows}</tbody></table>'
    table = f'<table{align}{PRESENTATION} style="float:none;display:inline-table;"><tbody>'
    cells = [
        link.content
        if link.is_raw
        else f"{outlook('<td>')}{table}{_social_element(link)}</tbody></table>{outlook('</td>')}"
        for link in links
    ]
    return f"{outlook(f'<table{align}{PRESENTATION}><tr>')}{''.join(cells)}{outlook('</tr></table>')}"


def _social_element(element: Element) -> str:
    icon, words = _icon(element), _words(element)
    inside = icon + words if element.get("icon-position") == "left" else words + icon
    return f"<tr{attributes(class_=element.get('css-class'))}>{inside}</tr>"


def _network(element: Element) -> tuple[str | None, str | None, str | None]:
    """Return the colour, the picture and the link."""
    name = element.get("name", "")
    colour, picture, share = _NETWORKS.get(name.removesuffix("-noshare"), (None, None, ""))
    href = element.get("href")
    if href and share and not name.endswith("-noshare"):
        href = share.replace("[[URL]]", href)
    source = element.get("src") or (picture and f"{_ICONS}{picture}.png")
    return element.get("background-color") or colour, source, href


def _icon(element: Element) -> str:
    colour, source, href = _network(element)
    size = element.get("icon-size")
    height = {"height": element.get("icon-height") or size}
    image = attributes(
        **element.some(("alt", "title", "sizes", "srcset")), src=source, width=integer(size) if size else None
    )
    html = f"<img{image}{element.style(_IMG)} />"
    if element.true("href"):
        html = f"<a{attributes(href=href, **element.some(('rel', 'target')))}>{html}</a>"
    return (
        f"<td{element.style(_CELL)}><table{PRESENTATION}{element.style(_TABLE, {'background': colour})}><tbody><tr>"
        f"<td{element.style(_ICON, height)}>{html}</td></tr></tbody></table></td>"
    )


def _words(element: Element) -> str:
    if not element.content:
        return ""
    tag, link = "span", ""
    if element.true("href"):
        tag, link = "a", attributes(href=_network(element)[2], **element.some(("rel", "target")))
    return f"<td{element.style(_TEXT_CELL)}><{tag}{link}{element.style(_TEXT)}>{element.content}</{tag}></td>"


def navbar(element: Element, context: Context) -> str:
    """Write ``mj-navbar``; with ``hamburger`` its links hide behind a sign on narrow screens."""
    context.page.sheet("mj-navbar", _sheet)
    table = f"<table{PRESENTATION}{attributes(align=element.get('align'))}><tr>"
    base = element.get("base-url") or ""
    links = "".join(link.content if link.is_raw else _navbar_link(link, base) for link in element.children())
    folded = _hamburger(element, context) if element.get("hamburger") == "hamburger" else ""
    return f'{folded}<div class="mj-inline-links">{outlook(table)}{links}{outlook("</tr></table>")}</div>'


def _navbar_link(element: Element, base: str) -> str:
    names = element.get("css-class")
    href = element.get("href")
    link = attributes(
        class_=f"mj-link {names}" if names else "mj-link",
        href=f"{base}{href or ''}" if base else href,
        **element.some(("rel", "target", "name")),
    )
    cell = f"<td{element.style(_LINK_CELL)}{attributes(class_=suffixed(names, 'outlook') or None)}>"
    return f"{outlook(cell)}<a{link}{element.style(_LINK)}>{element.content}</a>{outlook('</td>')}"


def _hamburger(element: Element, context: Context) -> str:
    key = context.page.next_id()
    return (
        f'<!--[if !mso]><!--><input type="checkbox" id="{key}" class="mj-menu-checkbox" '
        'style="display:none !important; max-height:0; visibility:hidden;" /><!--<![endif]-->'
        '<div class="mj-menu-trigger" style="display:none;max-height:0px;max-width:0px;font-size:0px;overflow:hidden;">'
        f'<label for="{key}" class="mj-menu-label"{element.style(_LABEL)}{attributes(align=element.get("ico-align"))}>'
        f'<span class="mj-menu-icon-open" style="mso-hide:all;">{element.get("ico-open")}</span>'
        f'<span class="mj-menu-icon-close" style="display:none;mso-hide:all;">{element.get("ico-close")}</span>'
        "</label></div>"
    )


def _sheet(below: str) -> str:
    box, icon = '.mj-menu-checkbox[type="checkbox"]', ".mj-menu-trigger .mj-menu-icon"
    return f"""noinput.mj-menu-checkbox {{ display:block!important; max-height:none!important;
visibility:visible!important; }}
@media only screen and (max-width:{below}) {{
{box} ~ .mj-inline-links {{ display:none!important; }}
{box}:checked ~ .mj-inline-links,
{box} ~ .mj-menu-trigger {{ display:block!important; max-width:none!important; max-height:none!important;
font-size:inherit!important; }}
{box} ~ .mj-inline-links > a {{ display:block!important; }}
{box}:checked ~ {icon}-close {{ display:block!important; }}
{box}:checked ~ {icon}-open {{ display:none!important; }}
}}"""
