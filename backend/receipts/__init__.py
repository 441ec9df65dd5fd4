"""The door for providers that call back: receipts and bounces."""
