"""The parts that the SQL engines share."""
