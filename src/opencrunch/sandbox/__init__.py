"""Sandboxes: one port, and an adapter for each kind of machine."""
