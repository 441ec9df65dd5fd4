"""Hostile input for mails, each under the name of what it tries: texts that want to be headers, parts or commands of
their own, addresses that want to be several, and mails that want to eat who reads them as bounces.

What is to be sent names the parts of a message: ``address``, ``subject`` (the request's), ``line`` (a field that the
template's subject shows), ``text`` (a field that its body shows) and ``sender`` (the display name of the service).
"""

from collections.abc import Callable, Mapping

Parts = Mapping[str, str]
_LONG = "a" * 5000
_BOUNDARY = "--=_0191f0aa-7b2c-7def-8000-0123456789ab"

# Each of these goes out as one mail that holds exactly what was given.
SENT: Mapping[str, Parts] = {
    "subject that looks like an encoded word": {"subject": "=?utf-8?q?Bcc:=20eve@evil.example?="},
    "subject that looks like a broken encoded word": {"subject": "=?utf-8?b?====?= =?x?y?z?="},
    "subject that looks like a header": {"subject": "Bcc: eve@evil.example"},
    "subject of one overlong word": {"subject": "a" * 500},
    "subject of letters outside ASCII": {"subject": "é東京✓" * 100},
    "subject of combining marks": {"subject": "Z" + "\u0301" * 400},
    "subject with bidi overrides": {"subject": "invoice\u202egnp.exe\u202c"},
    "subject with zero-width letters": {"subject": "Ac\u200bc\u200dou\u2060nt"},
    "subject with a byte order mark": {"subject": "\ufeffHello"},
    "subject of quotes and brackets": {"subject": '"<eve@evil.example>" (comment) , ; : \\'},
    "subject of emoji beyond the first plane": {"subject": "👩🏽‍🔬" * 60},
    "subject with private and unassigned characters": {"subject": "\ue000\U0010ffff\ufffe"},
    "body that ends the mail": {"text": "one\r\n.\r\nMAIL FROM:<eve@evil.example>\r\nDATA\r\n"},
    "body of dots": {"text": "\n".join(["x", ".", "..", ". .", "...", "."])},
    "body that begins with a dot": {"text": ".hidden"},
    "body with From lines": {"text": "From eve@evil.example Mon Mar  2\n>From eve\nFrom: eve"},
    "body that looks like headers": {"text": "Bcc: eve@evil.example\nContent-Type: text/html\n\n<b>x</b>"},
    "body that looks like a boundary": {"text": f"{_BOUNDARY}\nContent-Type: text/html\n\n<b>x</b>\n{_BOUNDARY}--"},
    "body that looks like every boundary": {"text": "--\n--=_\n--=_--\n--a--\nContent-Transfer-Encoding: base64"},
    "body of mixed line ends": {"text": "a\rb\nc\r\nd\n\re\r\rf"},
    "body with line ends of other scripts": {"text": "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg"},
    "body of one overlong line": {"text": "a" * 100_000},
    "body of overlong lines outside ASCII": {"text": ("é" * 3000 + "\n") * 3},
    "body of exactly the longest line": {"text": "a" * 998 + "\n" + "b" * 999 + "\n" + "c" * 997},
    "body with control characters": {"text": "bell \x07 escape \x1b[2J delete \x7f backspace \x08"},
    "body that looks like quoted-printable": {"text": "=3D =0D=0A.=0D=0A =\n=C3=A9 =?utf-8?q?x?="},
    "body that looks like base64": {"text": "QmNjOiBldmVAZXZpbC5leGFtcGxl\n====\n"},
    "body that begins uuencoded": {"text": "begin 644 evil.exe\nM" + "0" * 60 + "\nend"},
    "body with trailing blanks": {"text": "a \nb\t\nc  \t \nd ."},
    "body of blanks alone": {"text": " \t ."},
    "body with zero-width and bidi letters": {"text": "\u202eevil\u202c\u200b\u2066x\u2069"},
    "body of a quarter of a megabyte": {"text": "0123456789abcde\n" * 16_000},
    "body with markup": {"text": "<script>alert(1)</script><!-- --> ]]> &lt; &#0;"},
    "body with Jinja": {"text": "{{ 7 * 7 }}{% include 'x' %}{# #}"},
    "local part of every permitted sign": {"address": "!#$%&'*+-/=?^_`{|}~@lab.example"},
    "local part as long as may be": {"address": "a" * 64 + "@lab.example"},
    "local part like an option": {"address": "-f@lab.example"},
    "local part like a pipe": {"address": "|reboot@lab.example"},
    "local part with plus": {"address": "eve+a=b@lab.example"},
    "sender with bidi overrides that is plain": {"sender": "Zoë 東京"},
    "sender like an encoded word": {"sender": "=?utf-8?q?Bank?="},
    "sender with signs of lists": {"sender": "Lab, Eve; group: (comment) @"},
    "sender that looks like an address": {"sender": "eve@evil.example"},
}

# The same, but what cannot stand in a header, or is written in another way, is written as the second says.
REWRITTEN: Mapping[str, tuple[Parts, Parts]] = {
    "template's subject with a header": (
        {"line": "a\r\nBcc: eve@evil.example"},
        {"subject": "a Bcc: eve@evil.example"},
    ),
    "template's subject with a body": ({"line": "a\r\n\r\n<b>body</b>"}, {"subject": "a <b>body</b>"}),
    "template's subject with bare CR": ({"line": "a\rBcc: eve"}, {"subject": "a Bcc: eve"}),
    "template's subject with bare LF": ({"line": "a\nBcc: eve"}, {"subject": "a Bcc: eve"}),
    "template's subject with other line ends": ({"line": "a\u2028b\x85c\x0bd\x0ce"}, {"subject": "a b c d e"}),
    "template's subject with an escape": ({"line": "a\x1b]0;x\x07b"}, {"subject": "a ]0;x b"}),
    "domain in another script": ({"address": "eve@bücher.example"}, {"address": "eve@xn--bcher-kva.example"}),
    "domain in capitals": ({"address": "Eve@LAB.EXAMPLE"}, {"address": "Eve@lab.example"}),
    "domain with full-width letters": ({"address": "eve@\uff4c\uff41\uff42.example"}, {"address": "eve@lab.example"}),
}

# These are refused with a sentence.
REFUSED: Mapping[str, Parts] = {
    "subject with a header": {"subject": "a\r\nBcc: eve@evil.example"},
    "subject with bare CR": {"subject": "a\rb"},
    "subject with bare LF": {"subject": "a\nb"},
    "subject with NUL": {"subject": "a\0b"},
    "subject with an escape": {"subject": "\x1b[2J"},
    "subject with half a character": {"subject": "a\ud800b"},
    "subject of a megabyte": {"subject": "a" * 1_000_000},
    "empty subject": {"subject": ""},
    "field with NUL": {"line": "a\0b"},
    "body with half a character": {"text": "a\udfffb"},
    "body of more than may be": {"text": "a" * 1_100_000},
    "two addresses": {"address": "eve@lab.example,bob@lab.example"},
    "two addresses on two lines": {"address": "eve@lab.example\r\nbob@lab.example"},
    "address with a command": {"address": "eve@lab.example>\r\nDATA"},
    "address with a parameter": {"address": "eve@lab.example> SIZE=1"},
    "address with a header": {"address": "eve@lab.example\nBcc: bob@lab.example"},
    "address with NUL": {"address": "eve\0@lab.example"},
    "address with half a character": {"address": "eve\ud800@lab.example"},
    "address with a comment": {"address": "eve(comment)@lab.example"},
    "address with a display name": {"address": "Eve <eve@lab.example>"},
    "address in brackets": {"address": "<eve@lab.example>"},
    "address with a quoted local part": {"address": '"eve@evil"@lab.example'},
    "address with blanks in quotes": {"address": '"eve bob"@lab.example'},
    "address with a letter outside ASCII": {"address": "zoë@lab.example"},
    "address with a bidi override": {"address": "eve\u202e@lab.example"},
    "address with a zero-width letter": {"address": "e\u200bve@lab.example"},
    "address of a group": {"address": "friends: eve@lab.example;"},
    "address of a route": {"address": "@evil.example:eve@lab.example"},
    "address with a percent route and two ats": {"address": "eve@evil.example@lab.example"},
    "address at a number": {"address": "eve@[127.0.0.1]"},
    "address with empty labels": {"address": "eve@lab..example"},
    "address with a local part too long": {"address": "a" * 65 + "@lab.example"},
    "address of a megabyte": {"address": "a" * 1_000_000 + "@lab.example"},
    "domain of joiners": {"address": "eve@l\u200dab.example"},
    "domain of a broken IDN": {"address": "eve@xn--\u00fc.example"},
    "domain with an underscore and a blank": {"address": "eve@lab example"},
    "sender with a header": {"sender": "Lab\r\nBcc: eve@evil.example"},
    "sender with NUL": {"sender": "Lab\0"},
    "sender with a bidi override": {"sender": "Lab \u202egnp"},
    "sender with a zero-width letter": {"sender": "L\u200bab"},
    "sender with an address of its own": {"sender": "Lab <eve@evil.example>"},
    "sender that ends a quotation": {"sender": 'Lab" <eve@evil.example>, "'},
    "sender longer than may be": {"sender": _LONG},
}


def _multipart(inside: bytes, kind: bytes = b"report; report-type=delivery-status") -> bytes:
    head = b'Content-Type: multipart/%s; boundary="b"\r\nMIME-Version: 1.0\r\n\r\n' % kind
    return head + b"--b\r\n" + inside + b"\r\n--b--\r\n"


def _status(fields: bytes) -> bytes:
    return _multipart(b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\n" + fields)


def _nested(depth: int, rest: bytes) -> bytes:
    heads = (b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(depth))
    return b"".join(heads) + rest


# Mails that come to the address for bounces: each is taken or refused, and changes nothing.
BOUNCES: Mapping[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "NUL": lambda: b"\0" * 100_000,
    "line ends alone": lambda: b"\r\n" * 100_000,
    "no line end": lambda: b"a" * 1_000_000,
    "every octet": lambda: bytes(range(256)) * 1000,
    "more than may be": lambda: b"a" * 10_000_000,
    "headers without end": lambda: b"X-A: y\r\n" * 30_000,
    "one header without end": lambda: b"Subject: " + b"a" * 1_000_000,
    "folds without end": lambda: b"Subject: a\r\n" + b" b\r\n" * 60_000,
    "names without end": lambda: b"a" * 500_000 + b": x\r\n\r\n",
    "headers that are none": lambda: b": x\r\n" * 25_000 + b"\xff\xfe: y\r\n\r\n",
    "parameters without end": lambda: b"Content-Type: multipart/mixed" + b";" * 1_000_000 + b"\r\n\r\nx",
    "quotation marks without end": lambda: b"Content-Type: multipart/mixed; a=" + b'"' * 1_000_000 + b"\r\n\r\nx",
    "parameters in quotation marks": lambda: b'Content-Type: text/plain; a="' + b";" * 1_000_000 + b"\r\n\r\nx",
    "numbered parameters": lambda: (
        b"Content-Type: multipart/mixed" + b"".join(b"; boundary*%d=x" % n for n in range(50_000)) + b"\r\n\r\nx"
    ),
    "charset in parameters": lambda: b"Content-Type: multipart/mixed; boundary*=evil'x'%ff%fe\r\n\r\n--x\r\n",
    "encoded words without end": lambda: _status(b"Action: " + b"=?utf-8?q?x?= " * 60_000),
    "nesting as deep as is read": lambda: _nested(80, b"a\n" * 400_000),
    "nesting deeper than is read": lambda: _nested(4_000, b""),
    "messages in messages": lambda: b"Content-Type: message/rfc822\r\n\r\n" * 25_000,
    "boundary that is not there": lambda: b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + b"x\r\n" * 200_000,
    "boundary that never ends": lambda: _multipart(b"\r\n--b\r\n" * 120_000),
    "empty boundary": lambda: b'Content-Type: multipart/mixed; boundary=""\r\n\r\n--\r\n\r\n----\r\n',
    "boundary with line ends": lambda: b'Content-Type: multipart/mixed; boundary="a\r\n b"\r\n\r\n--a\r\n b\r\n',
    "multipart without boundary": lambda: b"Content-Type: multipart/report\r\n\r\n--b\r\n\r\nx\r\n--b--",
    "status without fields": lambda: _status(b""),
    "status of blocks without end": lambda: _status(b"Action: failed\r\n\r\n" * 10_000),
    "status of unknown make": lambda: _status(b"Action: \xff\xfe\r\nStatus: 9.9.9\r\nFinal-Recipient: ;;;;\r\n"),
    "status that is no text": lambda: _multipart(b"Content-Type: message/delivery-status\r\n\r\n\xff\0\xfe"),
    "status in base64": lambda: _multipart(
        b"Content-Type: message/delivery-status\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"QUFB" * 100_000
    ),
    "numbers without end": lambda: _status(b"Action: failed\r\nStatus: " + b"5." * 400_000),
    "base64 bomb": lambda: b"Content-Transfer-Encoding: base64\r\n\r\n" + b"QUFB\r\n" * 170_000,
    "broken base64": lambda: b"Content-Transfer-Encoding: base64\r\n\r\n" + b"A" * 999_999,
    "broken quoted-printable": lambda: b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=" * 900_000,
    "uuencoded bomb": lambda: b"Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 x\r\n" + b"M~~~\r\n" * 100_000,
    "unknown encoding": lambda: b"Content-Transfer-Encoding: \xff\r\nContent-Type: text/plain; charset=\xff\r\n\r\nx",
    "wrong charset": lambda: b"Content-Type: text/plain; charset=utf-16\r\n\r\n\xd8\x00\xd8\x00odd",
    "charset that is a codec": lambda: b"Content-Type: text/plain; charset=zlib\r\n\r\nx\x9c" + b"\0" * 1000,
    "charset with NUL": lambda: b"Content-Type: text/plain; charset=a\0b\r\n\r\nx",
    "greeting of qmail without end": lambda: b"\r\nHi. This is the " + b"a" * 900_000,
    "greeting of qmail and blanks": lambda: b"\r\nHi. This is the qmail program at x\r\n<abc>:" + b" " * 900_000,
    "greeting of qmail and addresses": lambda: b"\r\nHi. This is the qmail program at x\r\n" + b"<abc>:\n" * 120_000,
    "greeting of qmail and line ends": lambda: (
        b"\r\nHi. This is the qmail program at x\r\n<a@b>:\nx" + b"\n \tx" * 60_000
    ),
    "recipients of Exim without end": lambda: b"X-Failed-Recipients: " + b"a@b.c," * 150_000 + b"\r\n\r\nx",
    "dates of nonsense": lambda: b"Date: " + b"Mon, " * 150_000 + b"\r\n\r\nx",
    "date of comments": lambda: b"Date: " + b"(" * 400_000 + b"\r\n\r\nx",
    "identifiers without end": lambda: b"Message-ID: " + b"<0b9d8f52-3c1e-" * 60_000 + b"\r\n\r\nx",
    "lines that begin a mail": lambda: b"From eve@evil.example\r\n" * 40_000,
    "dots and lines of mail servers": lambda: b".\r\n" * 100_000 + b"MAIL FROM:<eve@evil.example>\r\n",
}
