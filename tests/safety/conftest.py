"""The figures of the suites, as a table after the last test."""

from tests.safety.sizes import SEED, SHARE, table


def pytest_terminal_summary(terminalreporter):
    lines = table()
    if lines:
        which = f"{SHARE:g} of the long sizes" if SHARE else "short sizes"
        terminalreporter.section(f"what we promise ({which}, seed {SEED})")
        for line in lines:
            terminalreporter.write_line(line)
