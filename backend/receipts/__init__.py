"""The entry point for providers that call back: receipts and bounces."""
