"""Starts the binaries, calls them, and compares their books."""
