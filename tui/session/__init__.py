"""A workspace's session: what keys and commands call. Knows no Textual."""
