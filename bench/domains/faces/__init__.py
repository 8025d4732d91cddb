"""Portraits judged by small published networks, read from local files."""
