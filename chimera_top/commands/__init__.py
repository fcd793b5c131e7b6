"""The commands, one module each: `run(flags)` returns the exit code. A module is imported when its command runs."""
