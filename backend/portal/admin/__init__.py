"""The pages of platform administrators, over the whole installation."""
