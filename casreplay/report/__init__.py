"""One report value, one module per format."""
