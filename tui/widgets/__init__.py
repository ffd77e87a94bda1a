"""Widgets: one file each. Data reaches them as `Content` only, never as markup."""
