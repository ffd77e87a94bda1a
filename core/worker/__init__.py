"""What runs in the worker: everything that touches torch. `python -m core.worker` is the process; `engine` is what it can do."""
