"""Small published face networks, read from local files (see files.py for what each is, where it comes from and its licence)."""
