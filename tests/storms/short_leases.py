"""Makes a worker's lease short in a process of a test, so that what outlasts one does not outlast the test's time."""

from datetime import timedelta
from importlib import import_module
from importlib.util import find_spec
from typing import Any

SECONDS = 3.0
_LENGTH = timedelta(seconds=SECONDS)
_EXTEND = 0.5
# By module; names that a module does not have are passed over.
_CONSTANTS: dict[str, dict[str, Any]] = {
    "backend.db.leases": {
        "LENGTH": _LENGTH,
        "EXTEND_SECONDS": _EXTEND,
        "_RELY_SECONDS": SECONDS / 3,
        "_SLOW_SECONDS": SECONDS * 2 / 3,
        "_GAP_SECONDS": SECONDS / 2,
    },
    "backend.delivery.queueing.heartbeat": {
        "EXTEND_SECONDS": _EXTEND,
        "BEAT_SECONDS": _EXTEND,
        "DEAD_AFTER": _LENGTH,
        "_STEADY_AFTER": timedelta(seconds=2 * _EXTEND),
    },
}


def apply() -> None:
    """Set the constants of this process; before anything else is imported that may have taken them over."""
    for name, values in _CONSTANTS.items():
        if find_spec(name) is not None:
            module = import_module(name)
            for constant, value in values.items():
                if hasattr(module, constant):
                    setattr(module, constant, value)
