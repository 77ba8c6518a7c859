"""The command line: the only floor that imports click, reads the environment, prints and exits."""
