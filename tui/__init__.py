"""The session, the command line and the screens."""

import os

os.environ.setdefault("TEXTUAL_FPS", "120")  # read by Textual when imported: a change waits 8 ms at most for its picture, not 16
