"""Mail servers that other people run: Postfix, Exim and OpenSMTPD, with real limits, refusals and bounces."""
