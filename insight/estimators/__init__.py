"""Estimators: what follows from what was measured, each as an Effect with its interval, or what would have to be."""
