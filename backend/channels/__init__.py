"""The channels: each provider takes a message and answers with a receipt, or raises why not."""
