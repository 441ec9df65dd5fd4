"""What strangers put where a number, a day, an id or a text is expected, chosen by a generator with a fixed seed."""

import json
import random
from collections.abc import Sequence

# As they stand on the wire: bytes, for some are no text at all.
NUMBERS: Sequence[bytes] = (
    b"0", b"-1", b"-0", b"+1", b"1.0", b"1e3", b"0x10", b"1_000", b" 1 ", b"007",
    b"2147483647", b"2147483648", b"-2147483649", b"9007199254740993",
    b"9223372036854775807", b"9223372036854775808", b"-9223372036854775808", b"-9223372036854775809",
    b"18446744073709551616", b"9" * 30, b"-" + b"9" * 400, b"9" * 5000, b"1e400", b"NaN", b"Infinity",
    "\uff11\uff12".encode(), "²".encode(), "٣".encode(), "๓".encode(), b"1\x00", b"\x001",
)  # fmt: skip
DAYS: Sequence[bytes] = (
    b"0000-00-00", b"0001-01-01", b"9999-12-31", b"10000-01-01", b"2026-02-30", b"20260302", b"2026-W10-1",
    b"-2026-03-02", b"2026-03-02\x00", b"2026-03-02T09:30", b"2026-03-02T24:00:00Z", b"2026-03-02T09:30:00+24:00",
    b"0001-01-01T00:00:00+14:00", b"9999-12-31T23:59:59-14:00", b"9999-12-31T23:59:59.999999999Z",
    b"2026-03-02T09:30:60Z", "\uff12\uff10\uff12\uff16-03-02".encode(), b"1970-01-01T00:00:00Z", b"1969-12-31",
)  # fmt: skip
IDS: Sequence[bytes] = (
    b"00000000-0000-0000-0000-000000000000", b"ffffffff-ffff-ffff-ffff-ffffffffffff",
    b"{00000000-0000-0000-0000-000000000000}", b"urn:uuid:00000000-0000-0000-0000-000000000000",
    b"00000000000000000000000000000000", b"0000", b"deadbeef", b"zzzz", b"\x00" * 4, b"A_SAMPLE\x00", b"a_sample",
    b"A" * 65, b"1.1", b"99999999999.99999999999", b"1." + b"9" * 19, b".", b"..", b"WyJhIl0", b"WyJcdTAwMDAiLDFd",
    b"WzkyMjMzNzIwMzY4NTQ3NzU4MDgsMV0", b"W10", b"bnVsbA", b"////", b"====",
)  # fmt: skip
TEXTS: Sequence[bytes] = (
    b"", b" ", b"\x00", b"a\x00b", b"\x00" * 50, b"\x01\x02\x1f", b"\x7f", b"\r\n", b"a\r\nSet-Cookie: x=1", b"\t=1+1",
    b"\xff\xfe", b"\xc3\x28", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80", b"\xef\xbf\xbf", b"\xef\xbb\xbf",
    "\u202e\u200b\u2028".encode(), "é" .encode() * 300, "🧪".encode() * 90, "ß" .encode() * 64, "İ".encode() * 40,
    b"a" * 255, b"a" * 256, b"a" * 2049, b"a" * 70_000, b"%", b"%00", b"%zz", b"_", b"\\", b"'", b"\"", b"';--",
    b"{{ 7 * 7 }}", b"{% for a in range(10**9) %}", b"{{ '\x00' }}", b"{{ fields.__class__ }}", b"<mjml><mj-body>",
    b"<script>", b"../../etc/passwd", b"file:///etc/passwd", b"http://[::1", b"https://user@host:99999999/",
    b"https://lab.example:x/", b"https://\x00.example/", "https://ⅷ.example/".encode(), b"a@b", b"@",
    b"a@" + b"b" * 300,
    b"lab@xn--a.example", "ada@läb.example".encode(), b"\"a b\"@lab.example", b"+44", b"+" + b"9" * 40, b"#", b"#" * 90,
    b"{", b"[]", b"null", b"{\"a\": 1e999}", b"{\"\\u0000\": 1}", b"{\"a\": \"\\ud800\"}", b"[" * 2000, b"true", b"on",
    b"EMAIL", b"SMS", b"LETTER", b"a; b; c", b"a,b;c\td", b"admin", b"html", b"save", b"=cmd|' /C calc'!A0",
)  # fmt: skip
_FILES: Sequence[bytes] = (
    b"", b"\x00", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\xff\xfea\x00", b"PK\x03\x04" + b"\x00" * 40,
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"email address\n\x00@lab.example\n", b"email address,sample_id\n\"a",
    b"email address,sample_id\nada@lab.example,a\x00b\n", b"email address\n" + b"a" * 140_000 + b"\n",
    b"email address;email address\n;\n", b",,,\n,,,\n", b"\n\n\n", b"\r\r\r", b"a\"b,c\n1,2\n", b"\"\n" * 400,
    "email address,sample_id\n".encode("utf-16") + b"\x00", "email address\nada@lab.example\n".encode("utf-16-le"),
    b"email address,sample_id\n" + b"ada@lab.example," + b"9" * 5000 + b"\n", b"email address\n\xed\xa0\x80\n",
    b"identifier,name,type,address\nA_ALL,\x00,EMAIL,a@lab.example\n", b"identifier,name,type,address\n" + b"," * 900,
    b"identifier,name,type,address\nA_\xff,x,EMAIL,a@lab.example\n", b"identifier\n" * 4000, b"<mjml>\x00</mjml>",
    b"{% extends \"\x00\" %}", b"%PDF-1.7\x00", b"\x89PNG\r\n\x1a\n\x00", b"email address,\x00\nada@lab.example,1\n",
    b"email address," + b"n" * 300 + b"\nada@lab.example,1\n", b"email address,sample_id\n" * 3 + b"\x1a",
)  # fmt: skip
_JSON: Sequence[object] = (
    None, True, 0, -1, 2**31, 2**53, 2**63, -(2**63) - 1, 10**30, 1.5, "", "\x00", "a\x00b", "\ud800", "a" * 300,
    "é" * 70,
    "9" * 20, [], {}, [[]], [None], {"": ""}, {"\x00": 1}, {"a": {"b": {"c": {}}}}, "1", "A_ALL", ["A_ALL"] * 300,
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "\u202e", "+447700900123", "ada@lab.example", "{{ 7 * 7 }}",
)  # fmt: skip
_BROKEN: Sequence[bytes] = (
    b"", b" ", b"{", b"null", b"[]", b"0", b'"', b"\x00", b"\xff", b"\xef\xbb\xbf{}", b'{"a": 1, "a": 2}', b"[" * 5000,
    b'{"a": NaN}', b'{"a": 1e999}', b'{"a": "\\ud800"}', b'{"a": "\\u0000"}', b'{"\\u0000": "\\udfff"}', b"{" * 70,
    b'{"a": ' + b"9" * 5000 + b"}", b"a=1&b=%00", b"--x\r\n", b'{"channels": null}', b"\x1f\x8b\x08\x00",
)  # fmt: skip
_HEADERS: Sequence[tuple[bytes, bytes]] = (
    (b"accept", b"*/*;q=\xff"), (b"accept", b"application/json, text/html;q=0"), (b"accept-language", b"\x00"),
    (b"authorization", b"Bearer \xff\xfe"), (b"authorization", b"Basic \xff"), (b"authorization", b"Basic AAAA"),
    (b"authorization", b"Basic OgA="), (b"authorization", b"Bearer " + b"a" * 9000),
    (b"authorization", b"Bearer 1.1.1"),
    (b"authorization", b"Bearer eyJhbGciOiJub25lIn0.e30."), (b"authorization", b"Basic /wA6AP8="), (b"cookie", b"\xff"),
    (b"cookie", b"carillon=\x00; carillon-toast=a.b"), (b"cookie", b"carillon=" + b"a" * 5000), (b"cookie", b"=;=;,"),
    (b"cookie", "carillon=é; carillon-toast=é.é".encode()), (b"content-length", b"-1"), (b"content-length", b"9" * 30),
    (b"content-type", b"\xff"), (b"content-type", b"multipart/form-data"), (b"content-type", b"text/plain; charset=x"),
    (b"content-type", b"application/json; charset=utf-16"), (b"content-type", b"multipart/form-data; boundary=\xff"),
    (b"content-type", b"multipart/form-data; boundary=" + b"x" * 300), (b"content-encoding", b"gzip"),
    (b"hx-request", b"true"), (b"hx-current-url", b"\x00"), (b"if-none-match", b"\xff"), (b"origin", b"null"),
    (b"if-modified-since", b"\x00"), (b"range", b"bytes=-1"), (b"range", b"bytes=9-1,a-b"), (b"referer", b"\xff\x00"),
    (b"traceparent", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01"), (b"traceparent", b"\xff"),
    (b"tracestate", b"\xff"),
    (b"x-request-id", b"\x00\xff"), (b"x-request-id", b"a" * 4000), (b"host", b"\xff"),
    (b"host", b"[::1"), (b"host", b""),
    (b"host", b"a:99999999"), (b"host", b"a b"), (b"idempotency-key", b"\x00"), (b"transfer-encoding", b"x"),
    (b"forwarded", b"\xff"), (b"x-forwarded-for", b"\x00"), (b"user-agent", b"\xff\x00"),
    (b"x-http-method-override", b"PUT"),
)  # fmt: skip


class Hostile:
    """Chooses values; the same seed chooses the same."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def value(self) -> bytes:
        """Return something that no handler wants."""
        return self.random.choice(self.random.choice((NUMBERS, DAYS, IDS, TEXTS)))

    def number(self) -> bytes:
        """Return something that is hardly a number."""
        return self.random.choice(NUMBERS)

    def file(self) -> bytes:
        """Return a file that is hardly a table, or begins as one and goes on otherwise."""
        return self.random.choice(_FILES)

    def header(self) -> tuple[bytes, bytes]:
        """Return a header that is hardly one."""
        return self.random.choice(_HEADERS)

    def json(self, valid: object) -> bytes:
        """Write a body: a valid one with some of its values exchanged, or what is hardly JSON."""
        if valid is None or self.random.random() < 0.15:
            return self.random.choice(_BROKEN)
        value = json.loads(json.dumps(valid))
        for _ in range(self.random.choice((0, 1, 1, 2))):
            value = self._exchanged(value)
        return json.dumps(value, ensure_ascii=self.random.random() < 0.5).encode("utf-8", "surrogatepass")

    def _exchanged(self, value: object) -> object:
        if isinstance(value, dict) and value and self.random.random() < 0.85:
            name = self.random.choice(list(value))
            if self.random.random() < 0.1:
                return {**value, self.random.choice(("\x00", "x" * 300, "é", "")): self.random.choice(_JSON)}
            if self.random.random() < 0.1:
                return {key: member for key, member in value.items() if key != name}
            return {**value, name: self._exchanged(value[name])}
        if isinstance(value, list) and value and self.random.random() < 0.85:
            position = self.random.randrange(len(value))
            return [*value[:position], self._exchanged(value[position]), *value[position + 1 :]]
        return self.random.choice(_JSON)
