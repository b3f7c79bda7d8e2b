"""Processes that a command starts and ends, and the Java that runs them."""
