"""Writes MJML as HTML, as the reference compiler of MJML 5.4 does: each component, its widths and its defaults."""
