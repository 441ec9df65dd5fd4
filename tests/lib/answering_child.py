"""What the tests of child processes let one do."""

import os
import threading
from collections.abc import Callable
from typing import Any

from backend.lib import child


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Do what is asked."""
    deeds: dict[str, Callable[[], object]] = {
        "pid": os.getpid,
        "echo": lambda: question["text"],
        "environment": lambda: " ".join(os.environ),
        "print": lambda: print("not an answer", flush=True),
        "hang": threading.Event().wait,
        "dawdle": _dawdle,
        "die": lambda: os._exit(3),
        "flood": lambda: "x" * 10_000_000,
        "allocate": lambda: len(bytearray(2**33)),
    }
    try:
        return {"answer": deeds[question["do"]]()}
    except MemoryError:
        return {"answer": "MemoryError"}


def _dawdle() -> int:
    """Take longer than a quick answer does."""
    threading.Event().wait(0.6)
    return os.getpid()


def main() -> None:
    """Answer questions until nobody asks any more."""
    child.serve(answer, memory=2**30)
