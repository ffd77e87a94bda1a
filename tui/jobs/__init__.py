"""The worker's jobs behind the screens, one file each; `jobs` gives them their turns."""
