"""The OpenAPI document as other people's linters and generators of clients take it."""
