"""The door for clients of the GOV.UK Notify alpha: its paths, shapes and words, before the same house."""
