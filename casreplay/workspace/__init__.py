"""The user's files: which to see, how to read them safely, how to write them back."""
