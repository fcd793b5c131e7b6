"""Asking a server questions whose answers are known. Nothing here says whether an answer is right."""
