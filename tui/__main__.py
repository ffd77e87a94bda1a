"""`python -m tui` is `flavor-tui`."""

from tui.launcher import main

main()
