"""Kills the real service again and again while photos arrive in every way, then counts what was lost: `make chaos`."""
