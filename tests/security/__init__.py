"""Entry points, secrets and packages: what nobody may get past, told by walks over all of the application."""
