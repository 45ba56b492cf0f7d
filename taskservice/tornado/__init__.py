"""The service over HTTP, on Tornado."""
