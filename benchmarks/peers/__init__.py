"""The same service as others would write it, each with its framework at its best."""
