"""The doctor: looks at everything that an installation needs, and says in a sentence what is wrong and what to do."""
