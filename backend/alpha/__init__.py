"""The door for clients of the GOV.UK Notify alpha."""
