"""``casreplay demo``: a made-up workspace of an agent, forty snapshots of its work, and a guided tour.

``files`` holds the workspace as it is first written, ``story`` what happens to it, ``player``
writes it and takes the snapshots, ``tour`` runs the commands the reader would type, ``command``
ties them together. Everything is deterministic: the same files, times and snapshot ids every time.
"""
