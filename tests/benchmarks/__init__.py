"""The benchmark table: each figure beside the bare limit of the same machine in the same run."""
