"""Templates as code: a folder of files brought to agreement with an installation, over its public HTTP API alone."""
