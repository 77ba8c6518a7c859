"""Pure values, standard library only: ids, paths, trees, snapshots, changes, findings."""
