"""Measures the service against its peers, and shows where its time goes: `run.py bench`, `profile`."""
