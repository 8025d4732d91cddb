"""Adapters that make published networks guides and judges. One family a file; each is imported only by who uses it."""
