"""The service beside the real programs that it is run with: each test skips where its program is missing."""
