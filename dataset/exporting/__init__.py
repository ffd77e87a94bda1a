"""The dataset as files that `import` and other tools read: in several forms, as one file, or as a folder with a card."""

from dataset.exporting.files import ENDINGS, as_text, check_free, write_disk, write_file
from dataset.exporting.folder import write_folder
from dataset.exporting.forms import FORMS, Form, Table, preferences, split_rows, table

__all__ = [
    "ENDINGS",
    "FORMS",
    "Form",
    "Table",
    "as_text",
    "check_free",
    "preferences",
    "split_rows",
    "table",
    "write_disk",
    "write_file",
    "write_folder",
]
