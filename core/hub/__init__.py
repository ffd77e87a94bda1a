"""Models and data on this machine and on the hub, without torch. Only `download` (with `resuming`), `hubdata` and `upload` use the network."""
