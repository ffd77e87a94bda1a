"""The session, the command line and the screens."""
