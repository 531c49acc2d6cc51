"""What this package is: one number, the same as in plugin.yml."""

VERSION = "0.5.0"
