"""The TOML file: schema, scalars, errors with file, line and key."""
