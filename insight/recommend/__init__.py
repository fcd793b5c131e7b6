"""What to do about what was found, on this server with its flags, and what that is expected to bring."""
