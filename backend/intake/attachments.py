"""The files in a notification: decoded, checked, and named by what they hold."""

import hashlib
import re
import unicodedata
from binascii import Error, a2b_base64
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from backend.channels.attachments import MAX_BYTES, AttachedFile, LinkedFile
from backend.channels.records import CARRYING_FILES
from backend.intake.schema import AttachmentIn, ChannelIn, LinkIn
from backend.lib import settings
from backend.lib.problems import FieldError, Problem
from backend.lib.strict_json import MAX_ERRORS

# As GOV.UK Notify keeps files that nobody has given another time: 26 weeks.
DEFAULT = "26 weeks"
_FORM = re.compile(r"([1-9][0-9]{0,3}) ?(h|hours?|d|days?|w|weeks?)")
_SECONDS = {"h": 3_600, "d": 86_400, "w": 604_800}
# RFC 6838, section 4.2: a type and a subtype.
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
_ANY = "application/octet-stream"
# RFC 2046, section 5: they hold mail, which has rules of its own and may not be in base64.
_COMPOSITE = ("multipart/", "message/")
# What mail servers and programs refuse since it runs when it is opened: the lists of Gmail ("File types blocked in
# Gmail") and Outlook ("Blocked attachments in Outlook").
_DANGEROUS_NAMES = (
    "ade adp apk app application appref-ms appx appxbundle bas bat bgi cab chm cmd com cpl crt csh dll dmg ex ex_ exe"
    " fxp gadget grp hlp hta htc inf ins iso isp its jar jnlp js jse ksh lib lnk mad maf mag mam maq mar mas mat mau"
    " mav maw mcf mda mdb mde mdt mdw mdz msc msh msh1 msh1xml msh2 msh2xml mshxml msi msix msixbundle msp mst msu nsh"
    " ops osd pcd pif pl plg prf prg ps1 ps1xml ps2 ps2xml psc1 psc2 psd1 psm1 pst py pyc pyo pyw pyz pyzw reg scf scr"
    " sct sh shb shs sys theme tmp url vb vbe vbp vbs vhd vhdx vsmacros vsw vxd webpnp website ws wsb wsc wsf wsh xbap"
    " xll xnk"
)
_DANGEROUS_TYPES = (
    "application/bat application/ecmascript application/hta application/java-archive application/javascript"
    " application/vnd.android.package-archive application/vnd.microsoft.portable-executable"
    " application/x-apple-diskimage application/x-bat application/x-csh application/x-dosexec application/x-elf"
    " application/x-executable application/x-javascript application/x-mach-binary application/x-ms-installer"
    " application/x-msdos-program application/x-msdownload application/x-msi application/x-python-code"
    " application/x-sh application/x-sharedlib application/x-shellscript text/ecmascript text/javascript"
    " text/vbscript text/x-python text/x-sh text/x-shellscript"
)
_NAMES, _MEDIA_TYPES = frozenset(_DANGEROUS_NAMES.split()), frozenset(_DANGEROUS_TYPES.split())
# How programs begin, whatever they are called: Linux, macOS (both orders of octets, and for several processors, as
# which Java's classes begin too), and scripts that name their interpreter.
_DANGEROUS_STARTS = (
    b"\x7fELF",
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
    b"#!",
)
# How those of Windows begin, and a text may; the header of so many octets that they have holds zeros.
_WINDOWS = b"MZ"
_WINDOWS_HEADER = 64
_OFFICE = "application/vnd.openxmlformats-officedocument."
_OPEN = "application/vnd.oasis.opendocument."
# The types that a name's extension may go with; a name of another extension may go with any.
_TYPES: dict[str, tuple[str, ...]] = {
    "pdf": ("application/pdf",),
    "png": ("image/png",),
    "jpg": ("image/jpeg", "image/jpg"),
    "jpeg": ("image/jpeg", "image/jpg"),
    "gif": ("image/gif",),
    "webp": ("image/webp",),
    "bmp": ("image/bmp", "image/x-ms-bmp"),
    "tif": ("image/tiff",),
    "tiff": ("image/tiff",),
    "svg": ("image/svg+xml",),
    "txt": ("text/plain",),
    "log": ("text/plain",),
    "csv": ("text/csv", "text/plain", "application/csv", "application/vnd.ms-excel"),
    "tsv": ("text/tab-separated-values", "text/plain"),
    "html": ("text/html",),
    "htm": ("text/html",),
    "md": ("text/markdown", "text/plain"),
    "ics": ("text/calendar",),
    "vcf": ("text/vcard", "text/x-vcard"),
    "json": ("application/json", "text/plain", "text/json"),
    "xml": ("application/xml", "text/xml"),
    "rtf": ("application/rtf", "text/rtf"),
    "zip": ("application/zip", "application/x-zip-compressed"),
    "gz": ("application/gzip", "application/x-gzip"),
    "doc": ("application/msword",),
    "xls": ("application/vnd.ms-excel",),
    "ppt": ("application/vnd.ms-powerpoint",),
    "docx": (f"{_OFFICE}wordprocessingml.document",),
    "xlsx": (f"{_OFFICE}spreadsheetml.sheet",),
    "pptx": (f"{_OFFICE}presentationml.presentation",),
    "odt": (f"{_OPEN}text",),
    "ods": (f"{_OPEN}spreadsheet",),
    "odp": (f"{_OPEN}presentation",),
}
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_OLE = (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",)
# How files of a type begin.
_STARTS: dict[str, tuple[bytes, ...]] = {
    "application/pdf": (b"%PDF-",),
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/jpg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/webp": (b"RIFF",),
    "image/bmp": (b"BM",),
    "image/tiff": (b"II*\0", b"MM\0*"),
    "application/zip": _ZIP,
    "application/x-zip-compressed": _ZIP,
    "application/gzip": (b"\x1f\x8b",),
    "application/x-gzip": (b"\x1f\x8b",),
    "application/msword": (*_OLE, b"{\\rtf"),
    "application/vnd.ms-powerpoint": _OLE,
    **{mime: _ZIP for mimes in _TYPES.values() for mime in mimes if mime.startswith((_OFFICE, _OPEN))},
}
_CODE = "invalid_attachment"
_LONGEST_NAME = 200  # octets, since file systems take 255 and programs add to them
# Where cid:NAME stands in HTML no character may need an escape (RFC 2392, section 2).
_INLINE_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?")


# What a notification says of a file that goes as a link: for how long, and for whom.


def seconds(link: LinkIn) -> int:
    """Return for how many seconds a link is to last.

    Raises:
        ValueError: with a sentence, where that cannot be.
    """
    given = link.expires_after
    if given is None:
        return _read(DEFAULT) or 0
    wanted, days = _read(given), settings.current().link_days
    if wanted is None:
        raise ValueError("Must be a whole number of hours, days or weeks, such as 12h, 7d or 26 weeks.")
    if wanted > days * _SECONDS["d"]:
        raise ValueError(f"Links last {days} days at most here.")
    return wanted


def _read(text: str) -> int | None:
    found = _FORM.fullmatch(text)
    return int(found[1]) * _SECONDS[found[2][0]] if found else None


# What kinds of files are taken: which types a name may have, how files of a type begin, and which are dangerous.


def type_fault(media_type: str) -> str | None:
    """Say why a media type cannot be that of an attachment; None if it can."""
    if not _TYPE.fullmatch(media_type):
        return "A media type is two names with a slash between them and nothing more, such as application/pdf."
    if media_type.startswith(_COMPOSITE):
        return "Mail cannot be attached as such. Attach it as application/octet-stream with a name that ends in .eml."
    return None


def danger(name: str, media_type: str, content: bytes) -> str | None:
    """Say why a file is refused as a program or a script; None if it is not one that is known."""
    extension = _extension(name)
    if extension in _NAMES:
        return f"Files whose names end in .{extension} are not sent: mail systems refuse them as dangerous."
    if media_type in _MEDIA_TYPES:
        return f"Files of the type {media_type} are not sent: mail systems refuse them as dangerous."
    if content.startswith(_DANGEROUS_STARTS) or (content.startswith(_WINDOWS) and b"\0" in content[:_WINDOWS_HEADER]):
        return "The file begins as programs and scripts do, and these are not sent."
    return None


def disagreement(name: str, media_type: str, content: bytes) -> str | None:
    """Say where the name, the type and the content of a file do not agree; None if they do, as far as is known."""
    extension = _extension(name)
    usual = _TYPES.get(extension, ())
    if usual and media_type not in usual and media_type != _ANY:
        return f"The type {media_type} is not that of a name that ends in .{extension}, which is {usual[0]}."
    # A file that is called what it is not is opened as what it is called.
    expected = usual[0] if media_type == _ANY and usual else media_type
    starts = _STARTS.get(expected, ())
    if starts and not content.startswith(starts):
        return f"The content is not that of a file of the type {expected}."
    return None


def _extension(name: str) -> str:
    return name.rpartition(".")[2].lower() if "." in name else ""


class Attached(msgspec.Struct, frozen=True):
    """The files of a notification: what each channel (by its index) names, and the octets of all by SHA-256.

    Those of ``channels`` go along with the messages, and to those that are ``linked`` a message has the address.
    """

    channels: Mapping[int, list[AttachedFile]] = {}
    files: Mapping[str, bytes] = {}
    linked: Mapping[int, list[LinkedFile]] = {}

    def size(self, index: int) -> int:
        """Return how many octets the files have that go along with a channel's messages."""
        return sum(one.size for one in self.channels.get(index, ()))


NOTHING = Attached()


def read(channels_in: Sequence[ChannelIn], pointers: Sequence[str]) -> Attached:
    """Decode and check all files of the channels of a notification, which stand at ``pointers`` in its request.

    Raises:
        Problem: ``too_large`` if they have more than they may, ``invalid_attachment`` with every other fault.
    """
    if not any(channel.attachments for channel in channels_in):
        return NOTHING
    errors: list[FieldError] = []
    channels: dict[int, list[AttachedFile]] = {}
    linked: dict[int, list[LinkedFile]] = {}
    files: dict[str, bytes] = {}
    for index, channel in enumerate(channels_in):
        pointer = f"{pointers[index]}/attachments"
        if channel.attachments and channel.type not in CARRYING_FILES:
            detail = f"Messages of the channel {channel.type} carry no files; EMAIL and FRESHSERVICE do."
            errors.append(FieldError(pointer, _CODE, detail))
            continue
        names: set[str] = set()
        for position, given in enumerate(channel.attachments):
            content = _decoded(given)
            faults = list(_faults(f"{pointer}/{position}", given, content, names))
            names.add(given.name.casefold())
            if faults or content is None:
                errors += faults
                continue
            digest = hashlib.sha256(content).hexdigest()
            files[digest] = content
            if given.link is None:
                channels.setdefault(index, []).append(_attached(given, len(content), digest))
            else:
                linked.setdefault(index, []).append(_linked(given, given.link, len(content), digest))
    _check_sizes(channels, linked)
    if errors:
        raise _refusal(errors)
    return Attached(channels, files, linked)


def _attached(given: AttachmentIn, size: int, digest: str) -> AttachedFile:
    return AttachedFile(name=given.name, type=given.type.lower(), size=size, sha256=digest, inline=given.inline)


def _linked(given: AttachmentIn, link: LinkIn, size: int, digest: str) -> LinkedFile:
    return LinkedFile(
        name=given.name,
        type=given.type.lower(),
        size=size,
        sha256=digest,
        expires_after=seconds(link),
        confirm_address=link.confirm_address,
    )


def _check_sizes(channels: Mapping[int, list[AttachedFile]], linked: Mapping[int, list[LinkedFile]]) -> None:
    """See that the files are no larger than they may be, those that go along and those that go as links.

    Raises:
        Problem: ``too_large``.
    """
    total = sum(one.size for named in channels.values() for one in named)
    if total > MAX_BYTES:
        raise _too_large("attachments", total, MAX_BYTES, ' Send what is larger as a link: give it a member "link".')
    as_links, most = sum(one.size for named in linked.values() for one in named), settings.current().linked_bytes
    if as_links > most:
        raise _too_large("files that go as links", as_links, most, "")


def _too_large(what: str, total: int, most: int, remedy: str) -> Problem:
    detail = (
        f"The {what} have {total:,} bytes together, and those of one notification may have {most:,}"
        f" ({most // 1024 // 1024} MiB).{remedy}"
    )
    return Problem("too_large", detail, errors=[FieldError("/channels", "too_large", detail)])


def _refusal(errors: list[FieldError]) -> Problem:
    more = "" if len(errors) == 1 else f" There are {len(errors)} faults in all."
    detail = f"Nothing was sent: at {errors[0].pointer}: {errors[0].detail}{more}"
    return Problem(_CODE, detail, errors=errors[:MAX_ERRORS])


def _decoded(given: AttachmentIn) -> bytes | None:
    try:
        return a2b_base64(given.content.encode("ascii"), strict_mode=True)
    except (Error, UnicodeEncodeError):
        return None


def _faults(pointer: str, given: AttachmentIn, content: bytes | None, names: set[str]) -> Iterator[FieldError]:
    """Find what is wrong with one file; of what concerns its content the first fault alone."""
    if fault := _name_fault(given, names):
        yield FieldError(f"{pointer}/name", _CODE, fault)
    if given.link is not None and (of_link := _link_fault(given, given.link)):
        yield FieldError(f"{pointer}/{of_link[0]}", _CODE, of_link[1])
    media_type = given.type.lower()
    of_type = type_fault(media_type)
    if of_type is None and given.inline and not media_type.startswith("image/"):
        of_type = f"Only images can be inline, and {media_type} is none."
    if of_type:
        yield FieldError(f"{pointer}/type", _CODE, of_type)
    elif content is None:
        detail = "The content is not base64 (RFC 4648, section 4) without line breaks and with its padding."
        yield FieldError(f"{pointer}/content", _CODE, detail)
    elif not content:
        yield FieldError(f"{pointer}/content", _CODE, "The file is empty.")
    elif dangerous := danger(given.name, media_type, content):
        yield FieldError(pointer, _CODE, dangerous)
    elif untrue := disagreement(given.name, media_type, content):
        yield FieldError(pointer, _CODE, untrue)


def _link_fault(given: AttachmentIn, link: LinkIn) -> tuple[str, str] | None:
    """Return the member that is wrong, and why."""
    if given.inline:
        return "link", "What the message shows inline goes along with it: it cannot be a link too."
    try:
        seconds(link)
    except ValueError as fault:
        return "link/expires_after", str(fault)
    return None


def _name_fault(given: AttachmentIn, names: set[str]) -> str | None:
    if fault := _unusable_name(given.name):
        return fault
    if given.name.casefold() in names:
        return f"Another attachment of this channel is called {given.name} too."
    if given.inline and not _INLINE_NAME.fullmatch(given.name):
        return "The name of an inline image stands in cid:NAME: ASCII letters, digits, dots, dashes and underscores."
    return None


def _unusable_name(name: str) -> str | None:
    if len(name.encode()) > _LONGEST_NAME:
        return f"A name has at most {_LONGEST_NAME} bytes in UTF-8."
    # Control and format characters, among them those that turn the direction of writing and so hide an extension.
    if any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in name):
        return "A name holds no control characters, line breaks or invisible characters."
    if "/" in name or "\\" in name:
        return "A name is one file's, without a path: it holds neither / nor \\."
    if name != name.strip() or name.endswith(".") or name.startswith("."):
        return "A name neither begins nor ends with a dot or a space."
    return None
