"""Export and import: all tasks of a running service to a file and back, over HTTP.

The file is NDJSON, one task a line: `{"id", "revision", "task"}`. An import also takes lines with a task alone.
"""
