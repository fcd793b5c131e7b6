"""The command: it knows all the others and wires them together; nothing else does."""

__version__ = "0.1.0"
