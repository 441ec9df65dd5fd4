"""Text messages counted as networks carry them: alphabets, parts, pairs that are never split."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.channels.sms_segments import Segments, normalise, segments

TABLE = (  # 3GPP TS 23.038, the basic table and its extension
    "@£$¥èéùìòÇ\nØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("", Segments("GSM-7", 0, 0, 0, 160)),
        ("a", Segments("GSM-7", 1, 1, 1, 159)),
        ("a" * 160, Segments("GSM-7", 1, 160, 160, 0)),
        ("a" * 161, Segments("GSM-7", 2, 161, 161, 145)),
        ("a" * 306, Segments("GSM-7", 2, 306, 306, 0)),
        ("a" * 307, Segments("GSM-7", 3, 307, 307, 152)),
        ("€" * 80, Segments("GSM-7", 1, 80, 160, 0)),
        ("€" * 81, Segments("GSM-7", 2, 81, 162, 143)),
        # 152 septets and a pair: the pair goes on whole, so two parts of 153 do not hold 305 septets.
        ("a" * 152 + "€" + "a" * 152, Segments("GSM-7", 3, 305, 306, 152)),
        ("я" * 70, Segments("UCS-2", 1, 70, 70, 0)),
        ("я" * 71, Segments("UCS-2", 2, 71, 71, 63)),
        ("😀" * 35, Segments("UCS-2", 1, 35, 70, 0)),
        ("😀" * 36, Segments("UCS-2", 2, 36, 72, 61)),
        ("я" * 66 + "😀" + "я" * 66, Segments("UCS-2", 3, 133, 134, 66)),
        ("a" * 69 + "`", Segments("UCS-2", 1, 70, 70, 0)),  # the backtick is not in the table
    ],
)
def test_the_parts_of_a_text(text: str, counted: Segments) -> None:
    assert segments(text) == counted


def test_the_whole_table_is_known_and_nothing_else() -> None:
    assert segments(f"x{TABLE}x").units == len(TABLE) + 2
    assert segments("x^{}\\[~]|€\fx").units == 22
    for other in "`ÀâêôÂçœ中д☃":
        assert segments(other).encoding == "UCS-2"


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("“It’s ready” – at\u00a0last…", '"It\'s ready" - at last...'),
        ("one\r\ntwo\rthree\u2028four", "one\ntwo\nthree\nfour"),
        ("\n  a\tb \n", "a b"),
        ("\ufeffzero\u200bwidth\u2060", "zerowidth"),
        ("cafe\u0301", "café"),
        ("bell\x07 nul\0", "bell nul"),
        ("👩\u200d🔬", "👩\u200d🔬"),  # one picture, which would fall apart
        ("\u0646\u200c\u062e", "\u0646\u200c\u062e"),  # letters that would join without it
        ("a\u200db", "ab"),
        ("\ud800x", "x"),  # half a character
    ],
)
def test_a_text_is_sent_in_its_plainest_form(text: str, sent: str) -> None:
    assert normalise(text) == sent


@given(st.text(alphabet=st.sampled_from(TABLE + "€[^я😀`’\u200b"), max_size=400))
def test_every_part_has_room_for_what_is_put_into_it(text: str) -> None:
    counted = segments(text)
    single, joined = (160, 153) if counted.encoding == "GSM-7" else (70, 67)
    assert normalise(normalise(text)) == normalise(text)
    if counted.parts < 2:
        assert counted.units == single - counted.units_left
        return
    assert counted.units > single
    # A part may be one unit short, where a pair did not fit.
    assert (joined - 1) * (counted.parts - 1) < counted.units <= joined * counted.parts - counted.units_left
