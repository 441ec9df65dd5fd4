"""Bounces as mail servers of several makes write them, about the delivery that a test names."""

from pathlib import Path

_FOLDER = Path(__file__).parents[1] / "fixtures" / "bounces"
DELIVERY = "0b9d8f52-3c1e-5f0a-9d6e-4a7c51b2e803"


def bounce(name: str, delivery: str = DELIVERY) -> bytes:
    """Return one of the bounces, with the line ends that mail has on its way."""
    text = (_FOLDER / f"{name}.eml").read_text(encoding="ascii").replace(DELIVERY, delivery)
    return text.replace("\n", "\r\n").encode()
