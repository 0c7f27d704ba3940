"""The drivers: the only owners of clocks and tasks. Floor 4."""
