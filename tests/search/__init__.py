"""The index of words: how it is filled, asked and emptied, on both databases."""
