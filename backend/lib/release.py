"""Which release this is: the one that the package's metadata names."""

from importlib.metadata import version

VERSION = version("carillon")
