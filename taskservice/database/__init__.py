"""The engines that tasks can be stored in, and how one is chosen."""
