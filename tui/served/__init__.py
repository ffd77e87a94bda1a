"""The page in which a browser shows the app, and its server."""
