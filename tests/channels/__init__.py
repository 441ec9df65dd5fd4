"""Tests of the channels: addresses, MIME, and every provider against a real server."""
