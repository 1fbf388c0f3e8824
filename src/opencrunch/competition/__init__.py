"""A competition: its file, the check of its data, the store that runs map, the release for participants."""
