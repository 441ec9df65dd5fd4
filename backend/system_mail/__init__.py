"""E-mails of our own to people: letters with a link, and notices of what has ended or broken."""
