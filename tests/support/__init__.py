"""Doubles of seams and builders of workspaces that several test folders share."""
