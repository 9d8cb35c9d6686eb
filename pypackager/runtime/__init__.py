"""The daemon: puts the stages together; knows all the others."""
