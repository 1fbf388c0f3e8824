"""Long proofs: what the tests show a few times, done hundreds of times."""
