"""Control of a run while it runs: one set of verbs, for Python and for other programs."""
