"""Waiting for a file to change: told by the kernel, or by looking now and then."""

import threading
import time
from pathlib import Path

from backend.lib.queue_storage import Changes

_PATIENCE = 20.0
_FAR = 3600.0


def test_who_waits_hears_of_a_write_and_not_twice_of_the_same(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    changes = Changes(file)
    waiting = threading.Thread(target=changes.wait, args=(_FAR,), daemon=True)
    waiting.start()
    with file.open("ab") as opened:
        opened.write(b"changed")
    waiting.join(_PATIENCE)
    assert not waiting.is_alive()
    began = time.monotonic()
    changes.wait(0.05)
    assert time.monotonic() - began >= 0.05


def test_a_file_that_cannot_be_watched_is_looked_at_soon(tmp_path: Path) -> None:
    looking = threading.Thread(target=Changes(tmp_path / "missing").wait, args=(_FAR,), daemon=True)
    looking.start()
    looking.join(_PATIENCE)
    assert not looking.is_alive()
