"""With what a command ends that cannot work, by the numbers of sysexits.h: whether to start it again can help."""

import click

CONFIGURATION = 78  # EX_CONFIG: not before somebody has mended what the sentence names
AWAY = 69  # EX_UNAVAILABLE: something that this needs is not there, or is taken, and may be otherwise in a moment


class Misconfigured(click.ClickException):
    """Nothing but another setting or another release helps."""

    exit_code = CONFIGURATION


class NotNow(click.ClickException):
    """A later start may succeed."""

    exit_code = AWAY
