"""The handbook: that it is whole, that it is true of this code, and that its commands run."""
