"""The runs of a workspace, as their files tell."""
