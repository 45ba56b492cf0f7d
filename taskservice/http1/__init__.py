"""An HTTP/1.1 server for any Tornado application; it needs httptools and nothing of this service."""
