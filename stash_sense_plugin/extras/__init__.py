"""What runs in the environment of the extras, each in a process of its own: never in the worker."""
