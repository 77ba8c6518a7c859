"""Triggers: from a change set to findings.

``triggers.check`` runs every family on a pair of states; the families are modules of their
own. Nothing here writes, prints or reads the clock.
"""
