"""Network outputs: encoded once here, sent by a child process each, which can be killed."""
