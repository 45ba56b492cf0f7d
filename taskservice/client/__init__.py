"""Export and import: all tasks of a running service into a file and back, over HTTP.

The file is NDJSON, one task a line: `{"id", "revision", "task"}`. An import also takes lines that are a task alone.
"""
