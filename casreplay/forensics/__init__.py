"""Pure: records in, findings out."""
