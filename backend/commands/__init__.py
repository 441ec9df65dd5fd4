"""The set-up commands of the command line, one file per subject."""
