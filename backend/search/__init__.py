"""Finding notifications by their words: gathered after they were accepted, asked through ``find`` alone."""
