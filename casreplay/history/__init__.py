"""The repository and its algorithms: commit, diff, restore, retention, gc, verify, bisect."""
