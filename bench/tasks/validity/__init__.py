"""The validity task: faults are planted where the truth is known, and every metric says whether it sees them."""
