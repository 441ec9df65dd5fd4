"""The entry point for clients of the GOV.UK Notify alpha: its paths, shapes and words, on the same application."""
