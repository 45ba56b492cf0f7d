"""The request handlers."""
