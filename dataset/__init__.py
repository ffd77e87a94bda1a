"""The person's texts: the journal that is the truth, its TinyDB view, import, export and folds."""
