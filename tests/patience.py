"""How much longer than on an idle machine a test waits for what must come, before it says that it has not."""

# What waits and has what it waits for goes on at once, so that patience costs nothing but where something fails.
BUSY = 3.0


def patient(seconds: float) -> float:
    """Return for how long to wait for what takes at most so many seconds on an idle machine."""
    return seconds * BUSY
