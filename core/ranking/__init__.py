"""In which order candidates are shown: what is known of each as numbers, what was decided so far, and slots that keep it honest.

Plain Python: it runs in the process that draws the screen.
"""

from typing import Literal

Slot = Literal["ranked", "uncertain", "novel", "random", "gauges", ""]
"""Why a candidate is shown when it is: likely to be kept, to learn from, to see something new, untouched by any ranking, by gauges while
nothing is learned; empty: not by the ranking."""
