"""Everything that changes something: frozen commands, one handler, and a Result that never raises."""
