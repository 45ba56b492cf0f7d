"""How fast the service is beside its peers, and where its time goes: `run.py bench`, `profile`."""
