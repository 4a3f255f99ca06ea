"""Faults, injected one at a time into a listener at a real server."""
