"""From MJML with Jinja in it to HTML with Jinja in it."""
