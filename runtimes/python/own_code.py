"""Which files of a code folder are the user's own, and not packages that were installed into it."""

import os

FOREIGN_FOLDERS = ("site-packages", "dist-packages", ".venv", "venv")


class OwnCode:
    def __init__(self, root):
        self.root = os.path.join(root, "")
        self.installed = installed_names(root)

    def __contains__(self, path):
        if not path.startswith(self.root):
            return False
        parts = path[len(self.root) :].split(os.sep)
        return parts[0] not in self.installed and not any(part in FOREIGN_FOLDERS for part in parts)


def installed_names(root):
    """What `pip install --target` wrote: every package leaves a list of its files."""
    names = set()
    for folder in os.listdir(root):
        if not folder.endswith(".dist-info"):
            continue
        try:
            with open(os.path.join(root, folder, "RECORD"), encoding="utf-8") as record:
                names.update(line.split(",")[0].split("/")[0] for line in record)
        except OSError:
            continue
    return names
