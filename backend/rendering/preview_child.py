"""The child process of previews, which gives way to those that send where the processor is short."""

import os

from backend.rendering import child

_LOWER_PRIORITY = 5


def main() -> None:
    """Answer questions until nobody asks any more."""
    os.nice(_LOWER_PRIORITY)
    child.main()
