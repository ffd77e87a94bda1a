"""The parts that know nothing of screens or of the dataset's storage: settings, prompts, the worker and its engine."""
