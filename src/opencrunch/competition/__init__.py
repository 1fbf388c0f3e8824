"""A competition: its file, its data, the prepared store of runs and the participants' release."""
