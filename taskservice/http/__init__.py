"""HTTP as plain values: no I/O, no Tornado."""
