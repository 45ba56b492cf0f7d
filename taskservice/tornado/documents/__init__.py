"""The documents that the service serves: its OpenAPI description and the page."""
