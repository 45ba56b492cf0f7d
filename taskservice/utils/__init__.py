"""What every layer may use and what uses no other layer: the task context and logfmt."""
