"""The process inside the sandbox: it loads the submission and serves calls."""
