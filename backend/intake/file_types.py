"""What kinds of files are taken: which types a name may have, how files of a type begin, and which are dangerous."""

import re

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
